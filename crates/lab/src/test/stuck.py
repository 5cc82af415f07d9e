"""A file system in user space, and a process that hides its arguments in it: whoever looks at them waits for the file system.

stuck.py serve FOLDER PROGRAM  mounts itself on FOLDER, where `program` is a copy of PROGRAM; at SIGUSR1 it answers no more.
stuck.py hide FILE             its own arguments are from then on a page of FILE that nobody has read yet.
Both print `ready`.
"""
import ctypes, errno, os, signal, stat, struct, sys, time

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.sbrk.restype = ctypes.c_void_p
# Behind the program, where only zeros are: what is executed is never what hides arguments.
FILE_BYTES = 4 << 20
LOOKUP, FORGET, GETATTR, OPEN, READ, RELEASE, FLUSH, INIT, OPENDIR, RELEASEDIR, BATCH_FORGET, INTERRUPT = (
    1, 2, 3, 14, 15, 18, 25, 26, 27, 29, 42, 36)
ROOT, PROGRAM = 1, 2


def check(result, what):
    if result in (-1, ctypes.c_void_p(-1).value):
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def attributes(node):
    mode, size = (stat.S_IFDIR | 0o755, 0) if node == ROOT else (stat.S_IFREG | 0o755, FILE_BYTES)
    return struct.pack("<6Q10I", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(opcode, node, body, content):
    """What to answer; None: nothing. Attributes are valid for no time at all, so each look at them asks again."""
    if opcode == INIT:
        return struct.pack("<4I2H2I2HI7I", 7, 31, 65536, 0, 16, 12, 65536, 1, 32, 0, 0, *[0] * 7)
    if opcode == LOOKUP:
        if body != b"program\0":
            return errno.ENOENT
        return struct.pack("<4Q2I", PROGRAM, 1, 0, 0, 0, 0) + attributes(PROGRAM)
    if opcode == GETATTR:
        return struct.pack("<QII", 0, 0, 0) + attributes(node)
    if opcode in (OPEN, OPENDIR):
        return struct.pack("<QII", 0, 0, 0)
    if opcode == READ:
        offset, size = struct.unpack_from("<QI", body, 8)
        return content[offset:offset + size].ljust(min(size, max(FILE_BYTES - offset, 0)), b"\0")
    if opcode in (RELEASE, RELEASEDIR, FLUSH):
        return b""
    return None if opcode in (FORGET, BATCH_FORGET, INTERRUPT) else errno.ENOSYS


class Stuck(Exception):
    """It was told to answer no more."""


def get_stuck(*_):
    raise Stuck


def serve(folder, program):
    content = open(program, "rb").read()
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    check(libc.mount(b"stuck", folder.encode(), b"fuse", 0, options), "mount")
    signal.signal(signal.SIGUSR1, get_stuck)
    print("ready", flush=True)
    try:
        while True:
            request = os.read(device, 1 << 17)
            _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
            reply = answer(opcode, node, request[40:], content)
            if reply is not None:
                code, data = (0, reply) if isinstance(reply, bytes) else (-reply, b"")
                os.write(device, struct.pack("<IiQ", 16 + len(data), code, unique) + data)
    except Stuck:
        print("stuck", flush=True)
    while True:
        time.sleep(60)


def hide(file):
    """prctl(PR_SET_MM, PR_SET_MM_MAP): any process may say where its arguments are."""
    fd = os.open(file, os.O_RDONLY)
    page = check(libc.mmap(None, ctypes.c_size_t(4096), 1, 2, fd, ctypes.c_long(FILE_BYTES // 2)), "mmap")
    fields = [0, 0, 0] + open("/proc/self/stat").read().rsplit(")", 1)[1].split()
    # Counted from 1, as in proc(5).
    code, code_end, stack, data, data_end, brk = (int(fields[i]) for i in (26, 27, 28, 45, 46, 47))
    env, env_end = int(fields[50]), int(fields[51])
    where = struct.pack("<11QQIi", code, code_end, data, data_end, brk, libc.sbrk(0), stack, page, page + 4096, env, env_end, 0, 0, -1)
    check(libc.prctl(35, 14, ctypes.c_char_p(where), ctypes.c_ulong(len(where)), 0), "prctl")
    print("ready", flush=True)
    while True:
        time.sleep(60)


if sys.argv[1] == "serve":
    serve(sys.argv[2], sys.argv[3])
else:
    hide(sys.argv[2])
