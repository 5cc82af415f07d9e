//! Throws records at the real `/dev/tidelock` for some seconds: well-formed, mutated, out of order, too long, from
//! several threads. Beside it runs the kernel's end of the contract as a model, and what the module does has to be what
//! the model says: the same verdict, reason and offset, and nothing changed by what is refused.
//!
//! `device_fuzz SECONDS [SEED]`, in a guest of `cargo lab`, with the agent stopped. Prints `pass …`, `fail …: …` and
//! `note …`, and exits with 1 after a failure.

#![forbid(unsafe_code)]

#[path = "../../../kabi/tests/common/mod.rs"]
mod common;
mod device;
mod mutate;
mod records;
mod rng;

use device::{Device, Outcome};
use records::Records;
use rng::Rng;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use tidelock_kabi::bounds::MAX_TO_AGENT_BYTES;
use tidelock_kabi::{HEADER_BYTES, ToKernel};

/// `EBUSY` and `EFAULT` on Linux.
const EBUSY: i32 = 16;
const EFAULT: i32 = 14;
/// How long the module may take to answer, under emulation.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let seconds = args.next().and_then(|word| word.parse().ok()).unwrap_or(60);
    let seed = args.next().and_then(|word| word.parse().ok());
    let seed = seed.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(1, |since| u64::from(since.subsec_nanos()))
    });
    println!("note seed {seed}");
    let mut rng = Rng::new(seed);
    let records = Records::new(&mut rng);
    let time = Duration::from_secs(seconds);
    let checks = [
        (
            "does what the model says",
            by_the_model(&records, time.mul_f64(0.7), &mut rng),
        ),
        (
            "bears many at once",
            at_once(&records, time.mul_f64(0.3), &mut rng),
        ),
        ("answers afterwards", answers(&records)),
        ("begins with its greeting", begins(&records)),
        ("drains", drains()),
    ];
    let mut good = true;
    for (name, result) in checks {
        match result {
            Ok(()) => println!("pass {name}"),
            Err(why) => {
                good = false;
                println!("fail {name}: {}", why.replace('\n', "; "));
            }
        }
    }
    ExitCode::from(u8::from(!good))
}

/// Session after session, each record compared with the model.
fn by_the_model(records: &Records, time: Duration, rng: &mut Rng) -> Result<(), String> {
    let start = Instant::now();
    let mut counts = [0_u64; 3];
    let mut sessions = 0;
    let mut generation = said_generation()?;
    while start.elapsed() < time {
        sessions += 1;
        let mut device = open(generation)?;
        for number in 0..1 + rng.below(400) {
            let record = if number < 4 && !rng.once_in(3) {
                hello().to_vec(device.next_seq()).unwrap_or_default()
            } else {
                records.next(&device, rng)
            };
            let outcome = device.put(&record).map_err(|why| {
                format!(
                    "{why}\nsession {sessions}, record {number}: {}",
                    hex(&record)
                )
            })?;
            counts[outcome as usize] += 1;
            if start.elapsed() >= time {
                break;
            }
        }
        generation = device.in_force;
    }
    let [accepted, refused, declined] = counts;
    println!(
        "note {sessions} sessions: {accepted} records accepted, {refused} refused as the model said, {declined} well-formed \
         ones declined"
    );
    if accepted == 0 || refused == 0 || declined == 0 {
        return Err("one of these is missing: the records are not what they should be".to_owned());
    }
    Ok(())
}

/// Threads that write, read and open, with no order between them.
fn at_once(records: &Records, time: Duration, rng: &mut Rng) -> Result<(), String> {
    let until = Instant::now() + time;
    let mut device = open(said_generation()?)?;
    device.put(&hello().to_vec(1).unwrap_or_default())?;
    let writers: Vec<(File, Rng)> = (0..2)
        .map(|_| device.handle().map(|file| (file, Rng::new(rng.next()))))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let reader = device.handle().map_err(|error| error.to_string())?;
    let sizes = Rng::new(rng.next());
    thread::scope(|scope| {
        let mut threads = vec![
            scope.spawn(move || read_anyhow(reader, sizes, until)),
            scope.spawn(move || open_again(until)),
        ];
        for (file, rng) in writers {
            let device = &device;
            threads.push(scope.spawn(move || write_anyhow(file, records, device, rng, until)));
        }
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
    })
}

fn write_anyhow(
    mut file: File,
    records: &Records,
    device: &Device,
    mut rng: Rng,
    until: Instant,
) -> Result<(), String> {
    // The other writer moves the number on: guess where it is.
    let mut seq = device.next_seq();
    while Instant::now() < until {
        let mut record = records.next(device, &mut rng);
        let _ = tidelock_kabi::stamp(&mut record, seq);
        match file.write(&record).map_err(|error| error.raw_os_error()) {
            Ok(len) if len == record.len() => seq += 1,
            Ok(len) => return Err(format!("{len} of {} bytes were taken", record.len())),
            Err(Some(EFAULT)) => return Err("our own memory is no memory".to_owned()),
            Err(_) => seq += u64::from(rng.once_in(4)),
        }
    }
    Ok(())
}

fn read_anyhow(mut file: File, mut rng: Rng, until: Instant) -> Result<(), String> {
    let mut buffer = [0; MAX_TO_AGENT_BYTES];
    while Instant::now() < until {
        let space = rng.below(buffer.len());
        match file.read(&mut buffer[..space]) {
            Ok(len) if len < HEADER_BYTES => return Err(format!("{len} bytes are no record")),
            Err(error) if error.raw_os_error() == Some(EFAULT) => return Err(error.to_string()),
            Ok(_) => {}
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
    Ok(())
}

/// There is one opener at a time.
fn open_again(until: Instant) -> Result<(), String> {
    while Instant::now() < until {
        let opened = OpenOptions::new().read(true).write(true).open(device::PATH);
        match opened.map_err(|error| error.raw_os_error()) {
            Err(Some(EBUSY)) => thread::sleep(Duration::from_millis(2)),
            other => return Err(format!("a second opener: {other:?}")),
        }
    }
    Ok(())
}

/// The module is none the worse: a key is made, its certificate installed, a configuration applied, identities dropped.
fn answers(records: &Records) -> Result<(), String> {
    let mut device = open(said_generation()?)?;
    expect(&mut device, &hello())?;
    expect(&mut device, &records::named(1))?;
    wait(&mut device, "a request for a certificate", |heard| {
        heard.requests.iter().any(|(identity, ..)| *identity == 1)
    })?;
    let request = device
        .heard
        .requests
        .iter()
        .find(|(identity, ..)| *identity == 1);
    let (identity, key, der) = request.cloned().ok_or("there is no request")?;
    expect(&mut device, &records.answer(identity, key, &der))?;
    wait(&mut device, "an installed certificate", |heard| {
        heard.installed.contains(&1)
    })?;
    let newer = device.generation().saturating_add(1);
    expect(&mut device, &records.governing(newer))?;
    for identity in 1..=8 {
        let forget = ToKernel::Forget { identity };
        // Most of them are not there.
        device.put(&forget.to_vec(device.next_seq()).unwrap_or_default())?;
    }
    Ok(())
}

/// A governed program runs and is refused between the opening of the device and the greeting: the answer to the greeting
/// comes first all the same, and the program is not told of, for it is gone.
fn begins(records: &Records) -> Result<(), String> {
    let mut device = open(said_generation()?)?;
    expect(&mut device, &hello())?;
    let newer = device.generation().saturating_add(1);
    expect(&mut device, &records.governing(newer))?;
    let in_force = device.in_force;
    drop(device);
    let mut device = open(in_force)?;
    let curl = Command::new("curl")
        .args(["-s", "-m", "1", "http://127.0.0.1:8080/"])
        .status();
    match curl.map_err(|error| format!("curl: {error}"))?.code() {
        // It could not connect: it was governed, or this would show nothing.
        Some(7 | 28) => {}
        other => return Err(format!("curl ended with {other:?}")),
    }
    expect(&mut device, &hello())
}

fn drains() -> Result<(), String> {
    let mut device = open(said_generation()?)?;
    expect(&mut device, &hello())?;
    expect(&mut device, &ToKernel::Drain)
}

fn expect(device: &mut Device, record: &ToKernel<'_>) -> Result<(), String> {
    let bytes = record
        .to_vec(device.next_seq())
        .map_err(|error| format!("{error:?}"))?;
    match device.put(&bytes)? {
        Outcome::Accepted => Ok(()),
        other => Err(format!("{:?} was {other:?}", record.kind())),
    }
}

fn wait(
    device: &mut Device,
    what: &str,
    done: impl Fn(&device::Heard) -> bool,
) -> Result<(), String> {
    let start = Instant::now();
    while !done(&device.heard) {
        if start.elapsed() > PATIENCE {
            return Err(format!("{what} did not come"));
        }
        thread::sleep(Duration::from_millis(5));
        device.listen()?;
    }
    Ok(())
}

/// The generation of a kernel that was last spoken to by someone else: the answer to a hello names it.
fn said_generation() -> Result<u64, String> {
    let mut device = open(0)?;
    // That it is not the generation that a stranger assumes is no fault.
    let _ = device.put(&hello().to_vec(1).unwrap_or_default());
    device
        .heard
        .hello
        .ok_or_else(|| "the hello was not answered".to_owned())
}

/// The last handle of the session before may take a moment to go.
fn open(generation: u64) -> Result<Device, String> {
    let start = Instant::now();
    loop {
        match Device::open(generation) {
            Ok(device) => return Ok(device),
            Err(error) if start.elapsed() > PATIENCE => return Err(format!("open: {error}")),
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn hello() -> ToKernel<'static> {
    ToKernel::Hello {
        agent_version: "fuzz",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(400)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
