//! QEMU's command line.

use super::options::Options;
use super::payload::Node;
use crate::kernel::Kernel;
use std::path::{Path, PathBuf};

/// How many commands may run on the peer at once.
pub(crate) const PEER_PORTS: u32 = 12;

/// How large the tar that comes out may be. The file is sparse.
pub(crate) const OUT_BYTES: u64 = 1 << 30;

/// The CPU of a machine that nothing is counted in: what Debian asks of one, what the kernel's TLS makes use of, and what
/// catches a kernel that touches a program's memory or runs it (SMAP, SMEP). What more QEMU can emulate,
/// AVX and XSAVE above all, it emulates slowly, in every program and at every switch between two.
const CPU: &str =
    "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq,+rdrand,+rdseed,+fsgsbase,+smap,+smep";

/// QEMU's own network, in which 10.0.2.2 is this machine's loopback. It needs no privileges. It would lead further, but the
/// machine is given an address and no route (`init.sh`).
const HOST_LINK: [&str; 4] = [
    "-netdev",
    "user,id=link,ipv6=off",
    "-device",
    "virtio-net-pci,netdev=link,romfile=",
];

/// The files of one machine.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    /// Its initramfs.
    pub initramfs: PathBuf,
    /// Its root disk, never written.
    pub root: PathBuf,
    /// The tar that goes in.
    pub payload: PathBuf,
    /// The tar that comes out.
    pub out: PathBuf,
    /// Its kernel log.
    pub kernel_log: PathBuf,
    /// Where the sockets between the two machines are; short, since a socket's path must be.
    pub sockets: PathBuf,
}

/// The arguments of one machine.
pub(crate) fn arguments(
    options: &Options,
    kernel: &Kernel,
    node: Node,
    files: &Files,
) -> Vec<String> {
    let mut args: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| args.extend(words.iter().map(|word| (*word).to_owned()));
    add(&[
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        "-m",
        &(options.memory_mib * kernel.line.larger()).to_string(),
    ]);
    // `/dev/kvm` may exist and still run no ordinary kernel: never ask for it.
    if options.icount {
        add(&[
            "-accel",
            "tcg,thread=single",
            "-icount",
            "shift=0,sleep=off",
            "-seed",
            "1",
        ]);
        add(&[
            "-rtc",
            "clock=vm,base=2026-01-01",
            "-cpu",
            "max,-rdrand,-rdseed,-la57",
            "-smp",
            "1",
        ]);
    } else {
        add(&[
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            CPU,
            "-smp",
            &options.cpus.to_string(),
        ]);
    }
    add(&[
        "-kernel",
        &kernel.image().to_string_lossy(),
        "-initrd",
        &files.initramfs.to_string_lossy(),
    ]);
    add(&["-append", &kernel_arguments(options)]);
    add(&[
        "-chardev",
        &format!("file,id=log,path={}", comma(&files.kernel_log)),
        "-serial",
        "chardev:log",
    ]);
    for disk in [
        disk("root", &files.root, "format=raw,snapshot=on"),
        disk("modules", &kernel.modules_disk(), "format=raw,readonly=on"),
        disk("payload", &files.payload, "format=raw,readonly=on"),
        disk("out", &files.out, "format=raw"),
    ] {
        add(&[&disk[0], &disk[1], &disk[2], &disk[3]]);
    }
    // Our standard output is a pipe of the lab's.
    add(&[
        "-device",
        "virtio-serial-pci,max_ports=31",
        "-chardev",
        "file,id=out,path=/dev/stdout",
    ]);
    add(&["-device", "virtserialport,chardev=out,name=lab.out"]);
    if options.pair.is_some() {
        let pair = pair(node, &files.sockets);
        add(&pair.iter().map(String::as_str).collect::<Vec<_>>());
    } else if options.host {
        add(&HOST_LINK);
    } else {
        add(&["-nic", "none"]);
    }
    args
}

fn kernel_arguments(options: &Options) -> String {
    let mut line = String::from(
        "console=ttyS0 ignore_loglevel printk.time=1 panic=-1 oops=panic random.trust_bootloader=on \
         net.ifnames=0 no_timer_check",
    );
    if options.icount {
        line.push_str(" nokaslr norandmaps tsc=reliable");
    }
    if let Some(more) = &options.append {
        line.push(' ');
        line.push_str(more);
    }
    line
}

fn disk(name: &str, path: &Path, how: &str) -> [String; 4] {
    [
        "-drive".to_owned(),
        format!("if=none,id={name},file={},{how},cache=unsafe", comma(path)),
        "-device".to_owned(),
        format!("virtio-blk-pci,drive={name},serial=lab-{name}"),
    ]
}

/// The shared link, and the ports that carry `on-peer`. Neither needs privileges.
fn pair(node: Node, sockets: &Path) -> Vec<String> {
    let (own, other) = match node {
        Node::A => ("a", "b"),
        Node::B => ("b", "a"),
    };
    let path = |name: String| comma(&sockets.join(name));
    let mut args = vec![
        "-netdev".to_owned(),
        format!(
            "dgram,id=link,local.type=unix,local.path={},remote.type=unix,remote.path={}",
            path(format!("link-{own}")),
            path(format!("link-{other}"))
        ),
        "-device".to_owned(),
        format!(
            "virtio-net-pci,netdev=link,mac=52:54:00:77:00:0{},romfile=",
            if node == Node::A { 1 } else { 2 }
        ),
    ];
    for port in 0..PEER_PORTS {
        let end = match node {
            Node::A => "server=on,wait=off",
            Node::B => "reconnect=1",
        };
        args.extend([
            "-chardev".to_owned(),
            format!(
                "socket,id=peer{port},path={},{end}",
                path(format!("port{port}"))
            ),
            "-device".to_owned(),
            format!("virtserialport,chardev=peer{port},name=lab.peer{port}"),
        ]);
    }
    args
}

/// A path in QEMU's option syntax, where a comma is written twice.
fn comma(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_paths_are_doubled() {
        assert_eq!(comma(Path::new("/a,b")), "/a,,b");
    }

    #[test]
    fn each_end_of_the_link_names_the_other() {
        let (a, b) = (
            pair(Node::A, Path::new("/s")),
            pair(Node::B, Path::new("/s")),
        );
        assert!(a[1].contains("local.path=/s/link-a") && a[1].contains("remote.path=/s/link-b"));
        assert!(b[1].contains("local.path=/s/link-b") && b[1].contains("remote.path=/s/link-a"));
    }
}
