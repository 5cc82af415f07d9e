//! Gets itself an identity from a control plane and an agent of its own. See `embedded_node` of the library.

use tidelock_examples::embedded_node::{run, selectors_of_this_process};
use tidelock_examples::issue::Failure;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    match run(folder.path(), &selectors_of_this_process()?).await? {
        Some(id) => println!("this process is {id}"),
        None => println!("this process was refused an identity"),
    }
    Ok(())
}
