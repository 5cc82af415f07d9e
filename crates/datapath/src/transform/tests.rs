use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

use proptest::prelude::*;

use super::*;

const OWN: &str = "spiffe://example.org/web";
const PEER: &str = "spiffe://example.org/curl";
const ENDS: Ends<'static> = Ends {
    own: OWN,
    peer: PEER,
    peer_certificate: &[0xab; 32],
};

/// Permits what it is given, and remembers what it was asked about.
#[derive(Default)]
struct Doorman {
    asked: Vec<String>,
    refuses: Option<&'static str>,
}

impl Gate for Doorman {
    fn permits(&mut self, request: &HttpRequest<'_>) -> bool {
        let host = request.host.map(|host| host.as_str().to_string());
        let host = host.as_deref().unwrap_or("-");
        self.asked
            .push(format!("{} {} {host}", request.method, request.path));
        self.refuses != Some(request.path)
    }
}

fn told() -> String {
    format!(
        "X-Forwarded-Client-Cert: By={OWN};Hash={};URI={PEER}\r\n",
        "ab".repeat(32)
    )
}

/// What comes out when `input` goes in piece by piece, through a buffer as the kernel's, whose other side takes
/// everything at once.
fn through(transform: Transform, input: &[u8], pieces: &[usize]) -> Result<Vec<u8>, Refusal> {
    match passed(transform, input, pieces, &mut Doorman::default()) {
        (out, Progress::NeedsBytes) => Ok(out),
        (_, Progress::Refused(why)) => Err(why),
        (_, other) => panic!("{other:?}"),
    }
}

/// The same, with somebody to ask: what came out, and how it ended.
fn passed(
    transform: Transform,
    input: &[u8],
    pieces: &[usize],
    gate: &mut Doorman,
) -> (Vec<u8>, Progress) {
    let mut words = transform.to_words();
    let mut buf = vec![0; 64 * 1024];
    let (mut out, mut end, mut fed) = (Vec::new(), 0, 0);
    let mut pieces = pieces.iter().copied().cycle();
    while fed < input.len() {
        let free = buf.len() - MAX_ADDED_BYTES - end;
        let piece = pieces
            .next()
            .unwrap_or(1)
            .clamp(1, free)
            .min(input.len() - fed);
        buf[end..end + piece].copy_from_slice(&input[fed..fed + piece]);
        (fed, end) = (fed + piece, end + piece);
        loop {
            let mut state = Transform::from_words(words).expect("what to_words gave");
            let mut window = Window::new(&mut buf, 0, end).expect("in bounds");
            let progress = state.run(&mut window, &ENDS, gate);
            let ready = window.ready();
            end = window.end();
            words = state.to_words();
            out.extend_from_slice(&buf[..ready]);
            buf.copy_within(ready..end, 0);
            end -= ready;
            match progress {
                Progress::NeedsBytes => break,
                Progress::NeedsRoom => assert_ne!(ready, 0, "with room, a transform goes on"),
                over => return (out, over),
            }
        }
    }
    (out, Progress::NeedsBytes)
}

fn forwarded(input: &str) -> Result<String, Refusal> {
    let whole = through(
        Transform::forward_client_cert(),
        input.as_bytes(),
        &[usize::MAX],
    )?;
    Ok(String::from_utf8(whole).expect("text in, text out"))
}

#[test]
fn a_request_is_told_who_calls() {
    let out = forwarded("GET / HTTP/1.1\r\nHost: web\r\n\r\n").expect("a request");
    assert_eq!(
        out,
        format!("GET / HTTP/1.1\r\nHost: web\r\n{}\r\n", told())
    );
}

#[test]
fn a_request_without_fields_is_told_too() {
    let out = forwarded("GET / HTTP/1.0\r\n\r\n").expect("a request");
    assert_eq!(out, format!("GET / HTTP/1.0\r\n{}\r\n", told()));
}

#[test]
fn what_the_peer_says_of_itself_is_taken_out() {
    for name in [
        "X-Forwarded-Client-Cert",
        "x-forwarded-client-cert",
        "X_Forwarded_Client_Cert",
        "x-FORWARDED_client-CERT",
    ] {
        let out = forwarded(&format!(
            "GET / HTTP/1.1\r\n{name}: URI=spiffe://example.org/admin\r\nHost: web\r\n{name}:\r\n\r\n"
        ))
        .expect("a request");
        assert_eq!(
            out,
            format!("GET / HTTP/1.1\r\nHost: web\r\n{}\r\n", told())
        );
    }
}

#[test]
fn upgrades_are_not_offered_to_the_program() {
    let out = forwarded("GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    let expected = format!("GET / HTTP/1.1\r\nConnection: upgrade\r\n{}\r\n", told());
    assert_eq!(out, Ok(expected));
}

#[test]
fn rfc_9112_6_2_a_body_of_known_length_is_passed_and_the_next_request_is_told() {
    let body = "GET /not-a-head HTTP/1.1\r\nX-Forwarded-Client-Cert: a body's own\r\n\r\n";
    let first = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
    let out =
        forwarded(&format!("{first}\r\n{body}GET /2 HTTP/1.1\r\n\r\n")).expect("two requests");
    let told = told();
    assert_eq!(
        out,
        format!("{first}{told}\r\n{body}GET /2 HTTP/1.1\r\n{told}\r\n")
    );
}

#[test]
fn rfc_9112_7_1_chunks_are_passed_and_the_next_request_is_told() {
    let body =
        "5;name=value\r\nhello\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nChecksum: 1\r\n\r\n";
    let first = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n";
    let out =
        forwarded(&format!("{first}\r\n{body}GET /2 HTTP/1.1\r\n\r\n")).expect("two requests");
    let told = told();
    assert_eq!(
        out,
        format!("{first}{told}\r\n{body}GET /2 HTTP/1.1\r\n{told}\r\n")
    );
}

#[test]
fn rfc_9112_2_2_empty_lines_before_a_request_are_ignored() {
    let out = forwarded("\r\n\r\nGET / HTTP/1.1\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n")
        .expect("two requests");
    let one = format!("GET / HTTP/1.1\r\n{}\r\n", told());
    assert_eq!(out, format!("{one}{one}"));
}

#[test]
fn whatever_two_readers_could_read_differently_is_refused() {
    let long = "a".repeat(MAX_HEAD_BYTES);
    for (input, why) in [
        ("GET / HTTP/1.1\nHost: web\r\n\r\n", Refusal::BareLineFeed),
        (
            "GET / HTTP/1.1\r\nA: b\nX: y\r\n\r\n",
            Refusal::BareLineFeed,
        ),
        ("\nGET / HTTP/1.1\r\n\r\n", Refusal::BareLineFeed),
        ("GET / HTTP/1.1\r\nA: b\rX: y\r\n\r\n", Refusal::Field),
        ("GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", Refusal::Field),
        ("GET / HTTP/1.1\r\n A: b\r\n\r\n", Refusal::Field),
        (
            "GET / HTTP/1.1\r\nX-Forwarded-Client-Cert : b\r\n\r\n",
            Refusal::Field,
        ),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", Refusal::Field),
        ("GET / HTTP/1.1\r\nA: \0\r\n\r\n", Refusal::Field),
        ("GET /  HTTP/1.1\r\n\r\n", Refusal::RequestLine),
        ("GET / HTTP/2.0\r\n\r\n", Refusal::RequestLine),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refusal::RequestLine),
        ("GET /\r\n\r\n", Refusal::RequestLine),
        ("\u{16}\u{3}\u{1}\r\n\r\n", Refusal::RequestLine),
        ("CONNECT web:80 HTTP/1.1\r\n\r\n", Refusal::Connect),
        (
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            Refusal::Framing,
        ),
        (
            "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            Refusal::Framing,
        ),
        (
            "GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
            Refusal::Framing,
        ),
        (
            "GET / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
            Refusal::Framing,
        ),
        (
            "GET / HTTP/1.1\r\nContent-Length:\r\n\r\n",
            Refusal::Framing,
        ),
        (
            "GET / HTTP/1.1\r\nContent_Length: 4\r\n\r\n",
            Refusal::Framing,
        ),
        (
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            Refusal::Framing,
        ),
        (
            "GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            Refusal::Framing,
        ),
        (
            "GET / HTTP/1.1\r\nTransfer_Encoding: chunked\r\n\r\n",
            Refusal::Framing,
        ),
        (
            "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            Refusal::Framing,
        ),
        (
            "GET / HTTP/1.1\r\nConnection: close, x-forwarded-client-cert\r\n\r\n",
            Refusal::HopByHop,
        ),
    ] {
        assert_eq!(forwarded(input), Err(why), "{input:?}");
    }
    let long = format!("GET / HTTP/1.1\r\nA: {long}\r\n\r\n");
    assert_eq!(forwarded(&long), Err(Refusal::HeadTooLong));
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, why) in [
        ("\r\n", Refusal::Chunk),
        ("0x5\r\n", Refusal::Chunk),
        ("5\nhello\r\n", Refusal::Chunk),
        ("5 \r\nhello\r\n", Refusal::Chunk),
        ("5\r\nhello0\r\n", Refusal::Chunk),
        ("10000000000000000\r\n", Refusal::Chunk),
        ("0\r\nX-Forwarded-Client-Cert: me\r\n\r\n", Refusal::Trailer),
        ("0\r\nA: b\n\r\n", Refusal::BareLineFeed),
        ("0\r\nno colon\r\n\r\n", Refusal::Field),
    ] {
        assert_eq!(forwarded(&format!("{chunked}{body}")), Err(why), "{body:?}");
    }
    let endless = format!("{chunked}0\r\n{}", "A: b\r\n".repeat(1000));
    assert_eq!(forwarded(&endless), Err(Refusal::HeadTooLong));
    let wide = format!("{chunked}5;{}", "a".repeat(300));
    assert_eq!(forwarded(&wide), Err(Refusal::Chunk));
}

#[test]
fn a_head_is_held_back_until_it_is_whole() {
    let out = forwarded("GET / HTTP/1.1\r\nX-Forwarded-Client-Cert: me\r\n");
    assert_eq!(out, Ok(String::new()));
}

#[test]
fn each_request_is_asked_about_once_it_is_whole_and_before_it_passes() {
    let input = "GET /a?b HTTP/1.1\r\nHost: Web\r\n\r\nPOST /c HTTP/1.1\r\nHost: web:80\r\nContent-Length: 3\r\n\r\nabc\
                 DELETE /d HTTP/1.1\r\nHost: web\r\n\r\nGET /e HTTP/1.1\r\nHost: web\r\n\r\n";
    for pieces in [&[usize::MAX][..], &[1], &[7, 30]] {
        let mut gate = Doorman {
            refuses: Some("/d"),
            ..Doorman::default()
        };
        let transform = Transform::authorize_requests();
        let (out, over) = passed(transform, input.as_bytes(), pieces, &mut gate);
        assert_eq!(gate.asked, ["GET /a web", "POST /c web", "DELETE /d web"]);
        assert_eq!(over, Progress::Denied);
        let out = String::from_utf8(out).expect("text");
        assert!(out.ends_with("\r\n\r\nabc"), "{out}");
        assert_eq!(out.matches(&told()).count(), 2, "{out}");
    }
}

#[test]
fn what_has_two_spellings_is_refused_unasked() {
    let mut gate = Doorman::default();
    let input = b"GET /a/../b HTTP/1.1\r\nHost: web\r\n\r\n";
    let (out, over) = passed(Transform::authorize_requests(), input, &[9], &mut gate);
    assert_eq!((out, over), (vec![], Progress::Refused(Refusal::Path)));
    assert!(gate.asked.is_empty());
    // Who is only told who calls decides by that alone.
    assert!(forwarded("GET /a/../b HTTP/1.1\r\n\r\n").is_ok());
}

#[test]
fn a_full_buffer_changes_nothing_until_there_is_room() {
    let request = b"GET / HTTP/1.1\r\nX-Forwarded-Client-Cert: me\r\nHost: web\r\n\r\n";
    let mut buf = request.to_vec();
    let mut transform = Transform::forward_client_cert();
    let mut window = Window::new(&mut buf, 0, request.len()).expect("in bounds");
    assert_eq!(
        transform.run(&mut window, &ENDS, &mut Doorman::default()),
        Progress::NeedsRoom
    );
    assert_eq!((window.ready(), window.end()), (0, request.len()));
    assert_eq!(buf, request);
}

#[test]
fn the_longest_ids_fit_in_what_is_kept_free() {
    let id = format!("spiffe://example.org/{}", "a".repeat(2048 - 21));
    let ends = Ends {
        own: &id,
        peer: &id,
        ..ENDS
    };
    let request = b"GET / HTTP/1.1\r\n\r\n";
    let mut buf = request.to_vec();
    buf.resize(request.len() + MAX_ADDED_BYTES, 0);
    let mut window = Window::new(&mut buf, 0, request.len()).expect("in bounds");
    let mut transform = Transform::forward_client_cert();
    assert_eq!(
        transform.run(&mut window, &ends, &mut Doorman::default()),
        Progress::NeedsBytes
    );
    assert_eq!(window.ready(), window.end());
}

#[test]
fn words_that_are_no_transform_are_none() {
    for words in [[0, 0], [4, 0], [2 | 6 << 8, 0]] {
        assert_eq!(Transform::from_words(words), None, "{words:?}");
    }
}

/// A request that a program would send, and what it may look like behind a peer that lies.
fn request() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let name = prop_oneof![
        Just("Host".to_string()),
        Just("Accept".to_string()),
        Just("X-Forwarded-Client-Cert".to_string()),
        Just("X_forwarded-Client_cert".to_string()),
        Just("Upgrade".to_string()),
        "[A-Za-z][A-Za-z0-9-]{0,12}".prop_filter("lengths are the test's own", |name| {
            !["content-length", "transfer-encoding", "connection"]
                .contains(&name.to_ascii_lowercase().as_str())
        }),
    ];
    let field = (name, "[ -~]{0,40}").prop_map(|(name, value)| format!("{name}: {value}\r\n"));
    let fields = prop::collection::vec(field, 0..8).prop_map(|fields| fields.concat());
    let body = prop::collection::vec(any::<u8>(), 0..400);
    (
        "[A-Z]{1,6}",
        "/[a-z0-9/]{0,20}",
        fields,
        body,
        1_usize..90,
        any::<bool>(),
    )
        .prop_filter("CONNECT is refused", |(method, ..)| method != "CONNECT")
        .prop_map(|(method, target, fields, body, chunk, chunked)| {
            let mut wire = format!("{method} {target} HTTP/1.1\r\n{fields}").into_bytes();
            if chunked {
                wire.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in body.chunks(chunk) {
                    wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    wire.extend_from_slice(chunk);
                    wire.extend_from_slice(b"\r\n");
                }
                wire.extend_from_slice(b"0\r\n\r\n");
            } else {
                wire.extend_from_slice(
                    format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(),
                );
                wire.extend_from_slice(&body);
            }
            (wire, body)
        })
}

/// Reads requests as a server would, with a parser that is not ours: the values of every field that
/// a server could take for ours, and the bodies.
fn read_as_a_server(mut wire: &[u8]) -> Vec<(Vec<String>, Vec<u8>)> {
    let mut requests = Vec::new();
    while !wire.is_empty() {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut fields);
        let Ok(httparse::Status::Complete(len)) = request.parse(wire) else {
            panic!(
                "a server could not read {:?}",
                String::from_utf8_lossy(wire)
            );
        };
        let of = |wanted: &str| {
            let same = move |field: &&httparse::Header<'_>| {
                field.name.replace('_', "-").eq_ignore_ascii_case(wanted)
            };
            let values = request
                .headers
                .iter()
                .filter(same)
                .map(|field| String::from_utf8_lossy(field.value).into_owned());
            values.collect::<Vec<_>>()
        };
        let (told, length) = (of("x-forwarded-client-cert"), of("content-length"));
        assert_eq!(of("upgrade"), Vec::<String>::new());
        wire = &wire[len..];
        let mut body = Vec::new();
        if let Some(length) = length.first() {
            let (now, rest) = wire.split_at(length.parse().expect("a length"));
            (body, wire) = (now.to_vec(), rest);
        } else {
            loop {
                let Ok(httparse::Status::Complete((line, size))) = httparse::parse_chunk_size(wire)
                else {
                    panic!("no chunk");
                };
                let size = usize::try_from(size).expect("a small chunk");
                body.extend_from_slice(&wire[line..line + size]);
                wire = &wire[line + size + 2..];
                if size == 0 {
                    break;
                }
            }
        }
        requests.push((told, body));
    }
    requests
}

proptest! {
    /// However the bytes come, a server reads of each request one word on who calls, ours, and the body as it was.
    #[test]
    fn every_request_has_our_word_and_its_own_body(
        requests in prop::collection::vec(request(), 1..5),
        pieces in prop::collection::vec(1_usize..300, 1..8),
    ) {
        let input: Vec<u8> = requests.iter().flat_map(|(wire, _)| wire.clone()).collect();
        let out = through(Transform::forward_client_cert(), &input, &pieces).expect("well-formed");
        let ours = format!("By={OWN};Hash={};URI={PEER}", "ab".repeat(32));
        let expected: Vec<_> = requests.into_iter().map(|(_, body)| (vec![ours.clone()], body)).collect();
        prop_assert_eq!(read_as_a_server(&out), expected);
    }

    /// What comes out does not depend on how the bytes came; whatever they are, nothing panics.
    #[test]
    fn pieces_do_not_matter(
        input in prop::collection::vec(
            prop_oneof![
                Just(b"GET / HTTP/1.1\r\n".to_vec()), Just(b"\r\n".to_vec()), Just(b"\n".to_vec()),
                Just(b"Content-Length: 3\r\n".to_vec()), Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
                Just(b"X-Forwarded-Client-Cert: a\r\n".to_vec()), Just(b"3\r\nabc\r\n".to_vec()),
                Just(b"0\r\n".to_vec()), prop::collection::vec(any::<u8>(), 0..20),
            ], 0..20),
        pieces in prop::collection::vec(1_usize..40, 1..8),
    ) {
        let input = input.concat();
        let whole = through(Transform::forward_client_cert(), &input, &[usize::MAX]);
        let split = through(Transform::forward_client_cert(), &input, &pieces);
        prop_assert_eq!(whole, split);
    }

    #[test]
    fn identity_changes_nothing(input in prop::collection::vec(any::<u8>(), 0..2000), pieces in prop::collection::vec(1_usize..300, 1..8)) {
        prop_assert_eq!(through(Transform::Identity, &input, &pieces), Ok(input));
    }
}
