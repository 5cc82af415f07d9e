//! Issues SVIDs into a folder. See `issue` of the library.

use std::path::Path;
use std::process::ExitCode;

use tidelock_examples::issue::{Failure, USAGE, run};
use tidelock_examples::verify_svid::unix_now;

fn issue() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [id, audience, folder] = args.as_slice() else {
        return Err(USAGE.into());
    };
    let id = run(id, audience, Path::new(folder), unix_now())?;
    println!("issued {id}, into {folder}");
    Ok(())
}

fn main() -> ExitCode {
    match issue() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("nothing issued: {why}");
            ExitCode::FAILURE
        }
    }
}
