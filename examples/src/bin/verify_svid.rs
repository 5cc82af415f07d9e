//! Says whose an SVID is. See `verify_svid` of the library.

use std::process::ExitCode;

use tidelock_examples::verify_svid::{run, unix_now};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args, unix_now()) {
        Ok(id) => {
            println!("{id}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("not verified: {why}");
            ExitCode::FAILURE
        }
    }
}
