//! `on-peer`: runs a command on the other machine of a pair.
//!
//! It speaks over virtio serial ports between the two machines, not over the network: what is tested there is not
//! disturbed, and it works when the network does not. Each port carries one command at a time.
//!
//! A frame is a kind byte, the exchange's number (u64), a length (u32), and so many bytes; integers are little
//! endian. The number tells late frames of an exchange that was given up from those of the next.

use crate::failure::{Failure, Result};
use crate::vm::until_marker;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// A shell command to run.
const RUN: u8 = b'R';
/// Bytes of its standard output.
const OUT: u8 = b'O';
/// Bytes of its standard error.
const ERR: u8 = b'E';
/// Its exit status, a decimal number: the last frame of an exchange.
const END: u8 = b'X';

/// The most bytes in a frame.
const MAX_FRAME_BYTES: u32 = 64 * 1024;

/// How often and how long to look for a free port.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// The entry of the `on-peer` program.
///
/// # Errors
/// When there is no peer, or it goes away.
pub(crate) fn main(args: &[String]) -> Result<i32> {
    match args {
        [serve, ports] if serve == "--serve" => serve_all(ports.parse().unwrap_or(0)),
        [] => Err(Failure::new("on-peer: which command?")),
        _ => ask(&args.join(" ")),
    }
}

/// Runs a command on the peer; its status.
fn ask(command: &str) -> Result<i32> {
    let mut port = free_port()?;
    let exchange = exchange_number();
    let lost = |error: io::Error| Failure::new(format!("on-peer: lost the peer: {error}"));
    write_frame(&mut port, RUN, exchange, command.as_bytes()).map_err(lost)?;
    loop {
        let frame = read_frame(&mut port).map_err(lost)?;
        if frame.exchange != exchange {
            continue;
        }
        let printed = match frame.kind {
            OUT => write_all(&mut io::stdout().lock(), &frame.body),
            ERR => write_all(&mut io::stderr().lock(), &frame.body),
            END => return Ok(String::from_utf8_lossy(&frame.body).parse().unwrap_or(125)),
            _ => Ok(()),
        };
        printed.map_err(|error| Failure::new(format!("on-peer: {error}")))?;
    }
}

fn write_all(to: &mut impl Write, body: &[u8]) -> io::Result<()> {
    to.write_all(body)?;
    to.flush()
}

/// A port opens once: the first that opens is free.
fn free_port() -> Result<File> {
    for _ in 0..TRIES {
        let mut any = false;
        for number in 0.. {
            let path = port_path(number);
            if !std::path::Path::new(&path).exists() {
                break;
            }
            any = true;
            if let Ok(file) = OpenOptions::new().read(true).write(true).open(&path) {
                return Ok(file);
            }
        }
        if !any {
            return Err(
                Failure::new("on-peer: there is no peer").fix("start the guest with `--pair`")
            );
        }
        thread::sleep(PAUSE);
    }
    Err(Failure::new("on-peer: every port to the peer is in use"))
}

fn port_path(number: u32) -> String {
    format!("/dev/virtio-ports/lab.peer{number}")
}

/// Distinct for every exchange of a guest: time since boot and process number.
fn exchange_number() -> u64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let digits: String = uptime
        .split_whitespace()
        .next()
        .unwrap_or("0")
        .replace('.', "");
    digits.parse::<u64>().unwrap_or(0) << 24 | u64::from(std::process::id())
}

/// Serves every port, each in a thread, for as long as the machine runs: when the other machine is gone, until this one is ended
/// too. It is the guest's first program, and that this ends is a panic, in a log that is searched for such.
fn serve_all(ports: u32) -> ! {
    let threads: Vec<_> = (0..ports)
        .map(|number| thread::spawn(move || serve(number)))
        .collect();
    for thread in threads {
        if let Ok(Err(error)) = thread.join() {
            eprintln!("on-peer: {error}");
        }
    }
    eprintln!("on-peer: no port is left to serve");
    loop {
        thread::park();
    }
}

fn serve(number: u32) -> io::Result<()> {
    let port = OpenOptions::new()
        .read(true)
        .write(true)
        .open(port_path(number))?;
    let mut reader = port.try_clone()?;
    let writer = Arc::new(Mutex::new(port));
    loop {
        let frame = read_frame(&mut reader)?;
        if frame.kind == RUN {
            let command = String::from_utf8_lossy(&frame.body).into_owned();
            let status = run(&command, frame.exchange, &writer).unwrap_or(126);
            send(&writer, END, frame.exchange, status.to_string().as_bytes())?;
        }
    }
}

/// Runs one command. It has ended when its shell has, even if programs it left behind hold its output.
fn run(command: &str, exchange: u64, writer: &Arc<Mutex<File>>) -> io::Result<i32> {
    let (out_reader, mut out) = io::pipe()?;
    let (err_reader, mut err) = io::pipe()?;
    let mut child = Command::new("setsid")
        .args(["--wait", "bash", "-c", command])
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(err.try_clone()?)
        .current_dir("/lab")
        .spawn()?;
    let token = exchange.to_string();
    let pumps = [(OUT, out_reader), (ERR, err_reader)].map(|(kind, pipe)| {
        let mut frames = Frames {
            kind,
            exchange,
            writer: writer.clone(),
        };
        let token = token.clone();
        thread::spawn(move || until_marker(pipe, &mut frames, &token))
    });
    let status = child.wait()?;
    // Our own marker follows the command's last byte through each pipe.
    for pipe in [&mut out, &mut err] {
        write!(pipe, "\n@lab-{token} 0\n")?;
    }
    for pump in pumps {
        let _ = pump.join();
    }
    Ok(status.code().unwrap_or(128))
}

/// A writer that sends what it gets as frames.
struct Frames {
    kind: u8,
    exchange: u64,
    writer: Arc<Mutex<File>>,
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = usize::try_from(MAX_FRAME_BYTES).unwrap_or(usize::MAX);
        let now = &bytes[..bytes.len().min(most)];
        if !now.is_empty() {
            send(&self.writer, self.kind, self.exchange, now)?;
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn send(writer: &Mutex<File>, kind: u8, exchange: u64, body: &[u8]) -> io::Result<()> {
    let mut port = writer.lock().unwrap_or_else(PoisonError::into_inner);
    write_frame(&mut *port, kind, exchange, body)
}

#[derive(Debug, Eq, PartialEq)]
struct Frame {
    kind: u8,
    exchange: u64,
    body: Vec<u8>,
}

fn write_frame(to: &mut impl Write, kind: u8, exchange: u64, body: &[u8]) -> io::Result<()> {
    let len = u32::try_from(body.len())
        .ok()
        .filter(|len| *len <= MAX_FRAME_BYTES);
    let len = len.ok_or_else(|| io::Error::other("a command is at most 64 KiB long"))?;
    let mut frame = vec![kind];
    frame.extend(exchange.to_le_bytes());
    frame.extend(len.to_le_bytes());
    frame.extend(body);
    to.write_all(&frame)
}

fn read_frame(from: &mut impl Read) -> io::Result<Frame> {
    let mut head = [0; 13];
    from.read_exact(&mut head)?;
    let (mut exchange, mut len) = ([0; 8], [0; 4]);
    exchange.copy_from_slice(&head[1..9]);
    len.copy_from_slice(&head[9..13]);
    let len = u32::from_le_bytes(len);
    if len > MAX_FRAME_BYTES {
        return Err(io::Error::other("a frame is too long"));
    }
    let mut body = vec![0; usize::try_from(len).unwrap_or(0)];
    from.read_exact(&mut body)?;
    Ok(Frame {
        kind: head[0],
        exchange: u64::from_le_bytes(exchange),
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_were_sent() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, OUT, 7, b"hello").expect("a vector can be written");
        let frame = read_frame(&mut bytes.as_slice()).expect("it is whole");
        assert_eq!(
            frame,
            Frame {
                kind: OUT,
                exchange: 7,
                body: b"hello".to_vec()
            }
        );
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused() {
        assert!(write_frame(&mut Vec::new(), RUN, 1, &vec![0; 70_000]).is_err());
        let mut head = vec![OUT];
        head.extend(1u64.to_le_bytes());
        head.extend(u32::MAX.to_le_bytes());
        assert!(read_frame(&mut head.as_slice()).is_err());
    }
}
