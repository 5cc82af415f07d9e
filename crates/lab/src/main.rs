//! `cargo lab`: builds the kernel module for Debian's kernels, boots them in QEMU, and runs things in them.

mod apt;
mod build;
mod cache;
mod cmd;
mod debian_root;
mod demo;
mod disk;
mod emulator;
mod failure;
mod guest_image;
mod headers_root;
mod host;
mod kernel;
mod metadata;
mod package;
mod peer;
mod places;
mod rustc;
mod say;
mod semver;
mod soak;
mod test;
mod unpacked;
mod vm;
mod watch;

use build::Flavour;
use emulator::Emulator;
use failure::{Failure, Result};
use kernel::{Kernel, Line};
use places::Places;
use std::process::ExitCode;

/// What `cargo lab help` prints.
const USAGE: &str = "\
cargo lab demo [OPTION]...        show what Tidelock does, scene by scene, in one boot
    --kernel V        6.1, 6.12 (default) or newest
    --pair[=V]        scenes b to e between two machines, captured on the link
    --cpus N          virtual CPUs of each machine (default 2)
    --sabotage SCENE  break what the scene tests: then exactly that scene must fail;
                      `each` breaks every scene's in turn, and all must fail
    --mediated        every connection passes through the engine, which changes nothing
    --only a,b        just these, in this order
cargo lab test [OPTION]...        run every check: on this machine, then in virtual ones
    --host-only       nothing that boots a kernel
    --kernel V        of what boots, only 6.1, 6.12 or newest
    --debug-kernel    only what boots, on a kernel that looks for mistakes (KASAN, lockdep, kmemleak, …), which is built first
    --filter TEXT     only tiers and scenes with this in their names
cargo lab soak [--cases N]        hold policy images to Cedar's own decisions, a million times, by another seed each time;
                                  kill the control plane 200 times, at any instant
cargo lab semver                  hold the published crates to what they offered at the commit in semver-baseline
cargo lab setup [--refresh]       download and make what the other commands need
cargo lab build [--kernel V|all] [--sabotage-build] [--c-only]
    build the module, target/lab/<kernel>/tidelock.ko, and the programs; --c-only just compiles the C half
cargo lab package                 make Debian packages in target/lab/packages: the module for dkms, agent, control plane, command line
cargo lab vm [OPTION]... -- SCRIPT.sh [ARG]...
    boot a kernel, run a bash script as root in it, exit with its status
    --kernel V        6.1, 6.12 (default), newest or debug, which looks for mistakes
    --bare            without the module, the control plane and the agent
    --pair[=V]        a second machine as `peer`; `on-peer CMD` runs there
    --machine DISK    a root disk with systemd and the kernel's modules; the script is its last unit (with --bare)
    --host            a link to this machine's loopback, 10.0.2.2 there, and nothing else; the control plane is yours to start,
                      the agent the script's (`lab-join 10.0.2.2:PORT BUNDLE TOKEN-FILE`)
    --copy PATH       copy a file or folder to /lab in the guest (repeatable)
    --cpus N          virtual CPUs (default 2)
    --memory MIB      memory (default 1024)
    --icount          one instruction per nanosecond, one CPU: every figure repeats
    --timeout SECS    give up after this long (default 900)
    --append ARGS     more kernel arguments
    --sabotage NAME   break one mechanism of the module";

fn main() -> ExitCode {
    let mut args = std::env::args();
    let name = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    let result = if name.ends_with("on-peer") {
        peer::main(&args)
    } else {
        dispatch(&args)
    };
    match result {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(failure) => {
            eprintln!("lab: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<i32> {
    let Some((command, rest)) = args.split_first() else {
        println!("{USAGE}");
        return Ok(2);
    };
    if matches!(command.as_str(), "help" | "--help" | "-h") {
        println!("{USAGE}");
        return Ok(0);
    }
    let places = Places::find()?;
    match command.as_str() {
        "demo" => {
            let options = demo::Options::parse(rest)?;
            host::ensure_tools(&places)?;
            build::check_guest_can_run()?;
            Ok(i32::from(
                !demo::run(&places, &options, &places.lab.join("demo.json"))?.good,
            ))
        }
        "test" => {
            let options = test::Options::parse(rest)?;
            Ok(i32::from(!test::run(&places, &options)?))
        }
        "soak" => soak::command(&places, rest),
        "semver" => semver::command(&places, rest),
        "setup" => setup(&places, rest),
        "vm" => {
            let options = vm::Options::parse(rest)?;
            host::ensure_tools(&places)?;
            build::check_guest_can_run()?;
            let flavour = match options.sabotage {
                Some(_) => Flavour::Sabotage,
                None => Flavour::Real,
            };
            vm::command(&places, &options, |kernel| {
                build::software(&places, kernel, flavour)
            })
        }
        "build" => build_command(&places, rest),
        "package" => {
            host::ensure_tools(&places)?;
            package::command(&places, rest)
        }
        _ => Err(Failure::new(format!("there is no `cargo lab {command}`")).fix(USAGE)),
    }
}

fn setup(places: &Places, args: &[String]) -> Result<i32> {
    let refresh = args.iter().any(|arg| arg == "--refresh");
    host::ensure_tools(places)?;
    Emulator::ensure(places)?;
    guest_image::root_disk(places)?;
    for line in Line::ALL {
        let kernel = Kernel::ensure(places, line, refresh)?;
        guest_image::initramfs(places, &kernel)?;
        say::say(format!("{:<7} {}", line.label(), kernel.release));
    }
    Ok(0)
}

fn build_command(places: &Places, args: &[String]) -> Result<i32> {
    let mut flavour = Flavour::Real;
    let mut lines = vec![vm::DEFAULT_KERNEL];
    let mut c_only = false;
    let mut words = args.iter().flat_map(|word| word.splitn(2, '='));
    while let Some(word) = words.next() {
        match word {
            "--c-only" => c_only = true,
            "--sabotage-build" => flavour = Flavour::Sabotage,
            "--kernel" => match words.next() {
                Some("all") => lines = Line::ALL.to_vec(),
                value => lines = vec![Line::parse(value.unwrap_or_default())?],
            },
            _ => {
                return Err(
                    Failure::new(format!("`cargo lab build` has no option `{word}`")).fix(USAGE),
                );
            }
        }
    }
    host::ensure_tools(places)?;
    for line in lines {
        let kernel = Kernel::ensure(places, line, false)?;
        if c_only {
            build::c_half(places, &kernel, flavour)?;
            continue;
        }
        println!("{}", build::module(places, &kernel, flavour)?.display());
    }
    if !c_only {
        for program in build::programs(places)? {
            println!("{}", program.display());
        }
    }
    Ok(0)
}
