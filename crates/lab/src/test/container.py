"""container.py PORT: root of a user namespace of its own tries what it can on a node with Tidelock. Each line is WHAT: RESULT, a
word or the name of an errno. Run as an ordinary user, it makes the namespaces itself."""
import ctypes, errno, os, shutil, socket, subprocess, sys

PORT = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
SOL_TLS, TCP_REPAIR, TCP_ULP, MSG_FASTOPEN = 282, 19, 31, 0x20000000


def tell(what, attempt):
    try:
        result = attempt()
    except OSError as e:
        result = errno.errorcode.get(e.errno, str(e))
    print(f"{what}: {result}", flush=True)


def call(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return "done"


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return "done"


def get(host="127.0.0.1"):
    with socket.create_connection((host, PORT), timeout=60) as s:
        s.sendall(b"GET /page HTTP/1.0\r\n\r\n")
        answer = b""
        while some := s.recv(4096):
            answer += some
    return "served" if answer.endswith(b"served\n") else "something else"


def made(family, kind, protocol=0):
    return lambda: socket.socket(family, kind, protocol).close() or "made"


def option(level, name, value):
    def attempt():
        with socket.create_connection(("127.0.0.1", PORT), timeout=60) as s:
            s.setsockopt(level, name, value)
        return "set"
    return attempt


def read_keys():
    with socket.create_connection(("127.0.0.1", PORT), timeout=60) as s:
        return s.getsockopt(SOL_TLS, 1, 64) and "read"


def fast_open():
    with socket.socket() as s:
        return s.sendto(b"plain", MSG_FASTOPEN, ("127.0.0.1", PORT)) and "sent"


def by_path(path):
    """Another program at the path that an identity is bound to, in a mount namespace of its own."""
    def attempt():
        copy = "/tmp/container/mine"
        shutil.copy(sys.executable, copy)
        call(libc.mount(copy.encode(), path.encode(), None, 0x1000, None))
        code = f"import socket; socket.create_connection(('127.0.0.1', {PORT}), timeout=60); print('connected')"
        ran = subprocess.run([path, "-c", code], capture_output=True, text=True)
        return ran.stdout.strip() or ran.stderr.strip().splitlines()[-1].split(":")[0]
    return attempt


tell("as an ordinary user", get)
uid, gid = os.getuid(), os.getgid()
call(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS))
write("/proc/self/setgroups", "deny")
write("/proc/self/uid_map", f"0 {uid} 1")
write("/proc/self/gid_map", f"0 {gid} 1")
call(libc.mount(b"none", b"/", None, 0x44000, None))
print("it is root now:", os.getuid())
tell("root of a container is who it was outside", get)
tell("the device", lambda: os.open("/dev/tidelock", os.O_RDWR) and "opened")
major = next(line.split()[0] for line in open("/proc/misc") if line.split()[1] == "tidelock")
tell("a device of its own", lambda: os.mknod("/tmp/container/device", 0o20666, os.makedev(10, int(major))) or "made")
tell("switching ftrace off", lambda: write("/proc/sys/kernel/ftrace_enabled", "0"))
tell("the list of flows", lambda: open("/proc/tidelock/flows").read() and "read")
tell("the module's parameters", lambda: call(libc.syscall(176, b"tidelock", 0x800)))
for name, family, kind, protocol in [
    ("raw", socket.AF_INET, socket.SOCK_RAW, 6), ("packet", socket.AF_PACKET, socket.SOCK_RAW, 0),
    ("mptcp", socket.AF_INET, socket.SOCK_STREAM, 262), ("sctp", socket.AF_INET, socket.SOCK_STREAM, 132),
    ("vsock", socket.AF_VSOCK, socket.SOCK_STREAM, 0), ("alg", socket.AF_ALG, socket.SOCK_SEQPACKET, 0),
]:
    tell(f"a socket of {name}", made(family, kind, protocol))
tell("the keys of a connection", read_keys)
tell("a ULP", option(6, TCP_ULP, b"tls"))
tell("repair", option(6, TCP_REPAIR, 1))
tell("fast open", fast_open)
tell("another program at a trusted path", by_path(sys.argv[2]))
call(libc.unshare(CLONE_NEWNET))
subprocess.run(["ip", "link", "set", "lo", "up"])
tell("a network of its own, and a raw socket in it", made(socket.AF_INET, socket.SOCK_RAW, 6))
with socket.socket() as listener:
    listener.bind(("127.0.0.1", PORT))
    listener.listen()
    tell("a server of its own at the Service's address", get)
    with socket.socket() as s:
        # Here it has the right to.
        s.setsockopt(6, TCP_REPAIR, 1)
        tell("the same with a connection made by repair", lambda: s.connect(("127.0.0.1", PORT)) or "connected")
