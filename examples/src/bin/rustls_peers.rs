//! Three connections over mutual TLS, two of them refused. See `rustls_peers` of the library.

use std::io;

use tidelock_examples::issue::Failure;
use tidelock_examples::rustls_peers::{refusal, run};

fn main() -> Result<(), Failure> {
    for meeting in run()? {
        match meeting.at_server {
            Ok(id) => println!("server: called by {id}"),
            Err(error) => println!("server: no connection: {}", why(&error)),
        }
        match meeting.at_client {
            Ok(said) => println!("client: the server said `{said}`"),
            Err(error) => println!("client: no connection: {}", why(&error)),
        }
    }
    Ok(())
}

fn why(error: &io::Error) -> String {
    refusal(error).map_or_else(|| error.to_string(), ToString::to_string)
}
