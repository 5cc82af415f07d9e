//! What `/proc` says, line by line: cgroups, credentials, starts.

use tidelock_attest::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn found(path: &str) -> (Option<String>, Option<String>) {
    let file = format!("0::{path}\n");
    let cgroup = Cgroup::parse(file.as_bytes()).expect(path);
    let container = cgroup.container().map(|id| id.to_string());
    (cgroup.unit().map(str::to_owned), container)
}

#[test]
fn the_unit_is_the_first_directory_that_is_no_slice() {
    for (path, unit) in [
        ("/system.slice/nginx.service", "nginx.service"),
        (
            "/system.slice/system-getty.slice/getty@tty1.service",
            "getty@tty1.service",
        ),
        (
            "/user.slice/user-1000.slice/session-3.scope",
            "session-3.scope",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/nginx.service",
            "user@1000.service",
        ),
        ("/system.slice/app.service/nginx.service", "app.service"),
        ("/init.scope", "init.scope"),
        ("/system.slice/_tasks.service", "tasks.service"),
    ] {
        assert_eq!(found(path).0.as_deref(), Some(unit), "{path}");
    }
    for path in [
        "/",
        "/system.slice",
        "/nginx",
        "/a/nginx.service",
        "/x y.service",
    ] {
        assert_eq!(found(path).0, None, "{path}");
    }
}

#[test]
fn a_container_is_known_by_what_its_runtime_names_its_cgroup() {
    for path in [
        "/docker/ID",
        "/system.slice/docker-ID.scope",
        "/docker/ID/docker/other",
        "/system.slice/docker-ID.scope/init.scope",
        "/machine.slice/libpod-ID.scope/container",
        "/libpod_parent/libpod-ID",
        "/system.slice/nerdctl-ID.scope",
        "/default/ID",
        "/kubepods/burstable/pod1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed/ID",
        "/kubepods/pod1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed/ID",
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-containerd-ID.scope",
        "/kubepods.slice/kubepods-pod1.slice/crio-ID.scope",
    ] {
        let path = path.replace("ID", ID);
        assert_eq!(found(&path).1.as_deref(), Some(ID), "{path}");
    }
}

#[test]
fn what_users_and_containers_make_themselves_is_no_container() {
    for path in [
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
        "/user.slice/user-1000.slice/user@1000.service/docker/ID",
        "/system.slice/app.service/docker-ID.scope",
        "/system.slice/docker/ID",
        "/machine.slice/libpod-conmon-ID.scope",
        "/docker/x/ID",
        "/a/docker/ID",
        "/ID",
        "/kubepods/a/b/c/ID",
        "/docker/IDa",
        "/system.slice/docker-ID",
    ] {
        let path = path.replace("ID", ID);
        assert_eq!(found(&path).1, None, "{path}");
    }
    assert_eq!(found(&format!("/docker/{}", ID.to_uppercase())).1, None);
    assert_eq!(found(&format!("/docker/{}é", &ID[..62])).1, None);
}

#[test]
fn systemds_own_hierarchy_counts_before_that_of_version_2() {
    let unit =
        |file: &str| Cgroup::parse(file.as_bytes()).map(|found| found.unit().map(str::to_owned));
    let some = |unit: &str| Ok(Some(unit.to_owned()));
    let mixed = "9:name=systemd:/system.slice/a.service\n8:pids:/x\n0::/system.slice/b.service\n";
    assert_eq!(unit(mixed), some("a.service"));
    assert_eq!(unit("8:pids:/x\n0::/b.service"), some("b.service"));
    // Whoever names a cgroup v1 hierarchy `x` cannot make it count.
    assert_eq!(unit("8:name=x:/system.slice/a.service\n0::/"), Ok(None));
    assert_eq!(
        unit("1:cpu,cpuacct:/a:b\n0::/a:b.service\n"),
        some("a:b.service")
    );
}

#[test]
fn a_doubtful_list_of_cgroups_is_refused() {
    let long = "a".repeat(MAX_CGROUP_BYTES);
    let lines = "1:a:/\n".repeat(MAX_CGROUP_LINES + 1);
    for (file, error) in [
        ("", CgroupError::Malformed),
        ("\n", CgroupError::Malformed),
        ("0:", CgroupError::Malformed),
        ("1:pids:/a\n", CgroupError::NoHierarchy),
        ("0::/a\n0::/b\n", CgroupError::NoHierarchy),
        ("0::a.service\n", CgroupError::Foreign),
        ("0::/../a.service\n", CgroupError::Foreign),
        ("0::/a//b\n", CgroupError::Foreign),
        ("0::/a.service/..\n", CgroupError::Foreign),
        (
            "0::/system.slice/a.service (deleted)\n",
            CgroupError::Deleted,
        ),
        (&format!("0::/{long}"), CgroupError::TooLong),
        (&lines, CgroupError::TooLong),
    ] {
        assert_eq!(Cgroup::parse(file.as_bytes()), Err(error), "{file:.40}");
    }
    assert_eq!(Cgroup::parse(b"0::/\xff\n"), Err(CgroupError::Foreign));
}

const STATUS: &str = "Name:\ta\\nUid:\t0\nUmask:\t0022\nUid:\t1000\t1001\t1002\t1003\nGid:\t1\t2\t3\t4\n\
                      FDSize:\t64\nGroups:\t4 24 998 \nNStgid:\t7\n";

#[test]
fn credentials_are_the_effective_ones() {
    let status = Status::parse(STATUS.as_bytes()).unwrap();
    assert_eq!((status.uid, status.gid), (1001, 2));
    assert_eq!(status.groups().collect::<Vec<_>>(), [4, 24, 998]);
    let none = STATUS.replace("4 24 998 ", " ");
    let status = Status::parse(none.as_bytes()).unwrap();
    assert_eq!(status.groups().count(), 0);
}

#[test]
fn a_doubtful_status_is_refused() {
    let refused = |from: &str, to: &str| {
        let file = STATUS.replace(from, to);
        Status::parse(file.as_bytes()).map(drop)
    };
    let many = format!("Groups:\t{}", "1 ".repeat(MAX_GROUPS + 1));
    for (from, to, error) in [
        ("Groups:\t", "Gruppen:\t", StatusError::Missing),
        ("FDSize:\t64", "Groups:\t1", StatusError::Missing),
        (
            "1000\t1001\t1002\t1003",
            "1000\t1001\t1002",
            StatusError::BadNumber,
        ),
        (
            "1000\t1001\t1002\t1003",
            "1\t1\t1\t1\t1",
            StatusError::BadNumber,
        ),
        ("24 998", "24 -1", StatusError::BadNumber),
        ("24 998", "4294967296", StatusError::BadNumber),
        ("Groups:\t", &many, StatusError::TooLong),
        (
            "FDSize",
            &"x".repeat(MAX_STATUS_BYTES),
            StatusError::TooLong,
        ),
    ] {
        assert_eq!(refused(from, to), Err(error), "{to:.40}");
    }
}

#[test]
fn a_process_cannot_choose_when_it_began() {
    let rest = "S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 123 456";
    for name in ["cat", "a b", ") S 1 1 1 0 -1", "x) (y", ""] {
        let stat = format!("77 ({name}) {rest}\n");
        assert_eq!(start_ticks(stat.as_bytes()), Ok(4711), "{name}");
    }
    assert_eq!(start_ticks(b"77 cat S 1"), Err(StatusError::Missing));
    assert_eq!(start_ticks(b"77 (cat) S 1"), Err(StatusError::Missing));
}
