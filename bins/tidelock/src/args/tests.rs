use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Args, clap::Error> {
    Args::try_parse_from(line.split_whitespace())
}

#[test]
fn the_command_line_is_consistent() {
    Args::command().debug_assert();
}

#[test]
fn output_and_socket_are_taken_before_and_after_the_command() {
    for line in [
        "tidelock -o json --socket /s get flows",
        "tidelock get flows -o json --socket /s",
    ] {
        let args = parse(line).unwrap();
        assert_eq!(args.output, Output::Json);
        assert_eq!(args.reach.socket, PathBuf::from("/s"));
        assert!(matches!(args.command, Command::Get { what: What::Flows }));
    }
}

#[test]
fn apply_takes_many_files_and_needs_one() {
    let args = parse("tidelock apply -f a.yaml -f b.cedar").unwrap();
    let Command::Apply { files } = args.command else {
        panic!("not apply")
    };
    assert_eq!(files, [PathBuf::from("a.yaml"), PathBuf::from("b.cedar")]);
    assert!(parse("tidelock apply").is_err());
}

#[test]
fn token_life_is_ten_minutes_unless_given() {
    let life = |line| match parse(line).unwrap().command {
        Command::Token {
            command: TokenCommand::Create { ttl, .. },
        } => ttl,
        _ => panic!("not token create"),
    };
    assert_eq!(life("tidelock token create --node a"), 600);
    assert_eq!(life("tidelock token create --node a --ttl 2h"), 7200);
    assert!(parse("tidelock token create --node a --ttl 0s").is_err());
    assert!(parse("tidelock token create").is_err());
}

#[test]
fn delete_takes_the_kind_as_documents_write_it() {
    for kind in ["WorkloadIdentity", "identity", "workloadidentity"] {
        let args = parse(&format!("tidelock delete {kind} web")).unwrap();
        assert!(matches!(
            args.command,
            Command::Delete {
                kind: Some(Kind::WorkloadIdentity),
                ..
            }
        ));
    }
}

#[test]
fn what_was_noted_is_a_number_and_a_hash() {
    let hash = "0a".repeat(32);
    let noted = Noted::parse(&format!("7:{hash}")).unwrap();
    assert_eq!((noted.seq, noted.hash), (7, vec![10; 32]));
    for wrong in [
        "",
        "7",
        &hash,
        &format!("x:{hash}"),
        &format!("7:{hash}0"),
        "7:+a",
    ] {
        assert!(Noted::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn policy_tools_need_policies_and_suggest_reads_standard_input() {
    assert!(parse("tidelock policy check").is_err());
    assert!(parse("tidelock policy test -f a.cedar").is_err());
    assert!(parse("tidelock policy explain -f a.cedar --principal a").is_err());
    let args = parse("tidelock policy suggest -o json").unwrap();
    let Command::Policy {
        command: PolicyCommand::Suggest { files, denied },
    } = args.command
    else {
        panic!("not suggest")
    };
    assert_eq!((files, denied), (vec![PathBuf::from("-")], false));
}

#[test]
fn delete_takes_a_name_or_files() {
    assert!(parse("tidelock delete -f a.yaml -f b.yaml --ignore-not-found").is_ok());
    for wrong in ["", " service", " service web -f a.yaml"] {
        assert!(
            parse(&format!("tidelock delete{wrong}")).is_err(),
            "{wrong}"
        );
    }
}
