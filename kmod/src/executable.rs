//! Which files can be told by a hash of their bytes.

/// File systems whose files change without their inodes showing it, as somebody else keeps them: `*_MAGIC` of
/// `include/uapi/linux/magic.h` and of the file systems themselves.
const KEPT_ELSEWHERE: [u64; 10] = [
    0x6573_5546, // FUSE
    0x6969,      // NFS
    0x517b,      // SMB
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB 2
    0x0102_1997, // 9P
    0x5346_414f, // OpenAFS
    0x6b41_4653, // AFS of the kernel's own
    0x00c3_6400, // Ceph
    0x7375_7245, // Coda
];

/// Whether no hash stands for a file: of a file system with this magic number, or that no path leads to, as for what was deleted
/// and what `memfd_create` makes. No selector by hash matches it.
#[must_use]
pub fn unhashable(magic: u64, unlinked: bool) -> bool {
    unlinked || KEPT_ELSEWHERE.contains(&magic)
}

/// Whether no hash stands for a file. Context: any.
#[unsafe(no_mangle)]
pub extern "C" fn tl_rs_unhashable(magic: u64, unlinked: bool) -> bool {
    unhashable(magic, unlinked)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn local_files_that_paths_lead_to_are_hashable() {
        const EXT4: u64 = 0xef53;
        const OVERLAYFS: u64 = 0x794c_7630;
        const TMPFS: u64 = 0x0102_1994;
        for magic in [EXT4, OVERLAYFS, TMPFS] {
            assert!(!unhashable(magic, false));
            assert!(tl_rs_unhashable(magic, true), "deleted");
        }
    }

    #[test]
    fn numbers_are_those_of_the_headers() {
        let header = Path::new("/usr/include/linux/magic.h");
        let header = fs::read_to_string(header).expect("linux-libc-dev");
        let names = [
            "FUSE_SUPER_MAGIC",
            "NFS_SUPER_MAGIC",
            "SMB_SUPER_MAGIC",
            "CIFS_SUPER_MAGIC",
            "SMB2_SUPER_MAGIC",
            "V9FS_MAGIC",
            "AFS_SUPER_MAGIC",
            "AFS_FS_MAGIC",
            "CEPH_SUPER_MAGIC",
            "CODA_SUPER_MAGIC",
        ];
        let in_header = |name: &str| {
            header.lines().find_map(|line| {
                let mut words = line.strip_prefix("#define")?.split_whitespace();
                let number = words
                    .next()
                    .filter(|word| *word == name)
                    .and(words.next())?;
                u64::from_str_radix(number.strip_prefix("0x")?, 16).ok()
            })
        };
        assert_eq!(
            names.map(|name| in_header(name).unwrap_or_else(|| panic!("{name} is not in it"))),
            KEPT_ELSEWHERE
        );
    }
}
