//! Node attestation with a certificate that was given to the machine elsewhere, and proof that the machine holds its key.
//!
//! Offer, challenge, proof and SVID follow each other on one stream, and nothing of it is kept anywhere else: what was said on
//! another stream, or on this one before, proves nothing here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tidelock_ca::{NodeCertificate, NodeRoots, NodeRootsError};
use tidelock_proto::v1::AttestRefusal as Reason;
use tidelock_proto::v1::attest_x509_pop_request::Step as Said;
use tidelock_proto::v1::attest_x509_pop_response::Step as Answer;
use tidelock_proto::{ErrorCode, POP_NONCE_BYTES, PopMessage, v1};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::attest::{attested, tell};
use crate::audit::{Actor, AuditEntry, hex};
use crate::authority::Issued;
use crate::budget::Bearer;
use crate::clock;
use crate::core::Core;
use crate::name::Name;
use crate::net::Caller;
use crate::store::{JoinedBy, NodeRecord};
use crate::traced;

/// How long an offer may take after the call.
const OFFER_WITHIN: Duration = Duration::from_secs(10);

/// How long a proof may take after its challenge.
const PROOF_WITHIN: Duration = Duration::from_secs(10);

/// Most chains that are followed at once: whoever connects can show some that cost as many signatures as there may be, and what
/// known nodes ask for is not to wait for that.
const MAX_FOLLOWED: usize = 2;

/// Most challenges at once that wait for their proof: what is kept of each is a certificate and a request.
const MAX_CHALLENGES: usize = 256;

/// What nodes' certificates have to lead to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct X509Pop {
    /// The roots.
    pub roots: NodeRoots,
    /// How long a proof may take after its challenge.
    pub proof_within: Duration,
}

impl X509Pop {
    /// Believes these roots; all else is as it is by default.
    #[must_use]
    pub fn new(roots: NodeRoots) -> Self {
        Self {
            roots,
            proof_within: PROOF_WITHIN,
        }
    }

    /// Believes the roots of a PEM file.
    ///
    /// # Errors
    /// The first one that is of no use, or none at all.
    pub fn from_pem(text: &str) -> Result<Self, NodeRootsError> {
        NodeRoots::from_pem(text).map(Self::new)
    }
}

/// What certificates are held to, and the challenges that wait.
#[derive(Debug)]
pub(crate) struct Challenges {
    pop: Option<Arc<X509Pop>>,
    slots: Semaphore,
    followed: Arc<Semaphore>,
}

impl Challenges {
    pub(crate) fn new(pop: Option<X509Pop>) -> Self {
        Self {
            pop: pop.map(Arc::new),
            slots: Semaphore::new(MAX_CHALLENGES),
            followed: Arc::new(Semaphore::new(MAX_FOLLOWED)),
        }
    }
}

type Answers = mpsc::Sender<Result<v1::AttestX509PopResponse, Status>>;
type Sayings = Streaming<v1::AttestX509PopRequest>;

/// A refusal, and the node if it is proven.
struct Refused {
    node: String,
    reason: Reason,
    code: ErrorCode,
    detail: String,
}

/// Why a caller gets no SVID.
enum Failure {
    /// Told as an event too.
    Refused(Refused),
    Other(Status),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Other(status)
    }
}

/// The certificate does not do.
fn bad_certificate(detail: impl ToString) -> Failure {
    let code = ErrorCode::NodeCertificateRefused;
    refused("", Reason::BadCertificate, code, detail)
}

/// The proof does not do.
fn bad_proof(detail: impl ToString) -> Failure {
    let code = ErrorCode::NodeCertificateRefused;
    refused("", Reason::BadProof, code, detail)
}

fn refused(node: &str, reason: Reason, code: ErrorCode, detail: impl ToString) -> Failure {
    Failure::Refused(Refused {
        node: node.to_owned(),
        reason,
        code,
        detail: detail.to_string(),
    })
}

fn malformed(what: &str) -> Failure {
    Failure::Other(ErrorCode::ArgumentInvalid.status(what))
}

pub(super) fn attest(
    core: &Arc<Core>,
    caller: Caller,
    mut said: Sayings,
) -> ReceiverStream<Result<v1::AttestX509PopResponse, Status>> {
    let (sender, answers) = mpsc::channel(1);
    let core = Arc::clone(core);
    traced::spawn(async move {
        let done = tokio::select! {
            done = converse(&core, &caller, &mut said, &sender) => done,
            // Who is gone, and a control plane that stops, waits for no proof.
            () = sender.closed() => return,
            () = core.stopping() => Err(ErrorCode::Unavailable.status("the control plane stops").into()),
        };
        let answer = match done {
            Ok(svid) => Ok(v1::AttestX509PopResponse {
                step: Some(Answer::Attested(svid)),
            }),
            Err(Failure::Other(status)) => Err(status),
            Err(Failure::Refused(refused)) => Err(refuse(&core, &caller, refused)),
        };
        // Who is gone by now has an SVID that nobody uses.
        let _ = sender.send(answer).await;
    });
    ReceiverStream::new(answers)
}

async fn converse(
    core: &Arc<Core>,
    caller: &Caller,
    said: &mut Sayings,
    answers: &Answers,
) -> Result<v1::AttestResponse, Failure> {
    let Some(pop) = &core.challenges.pop else {
        let message = "this control plane takes no nodes' certificates: start it with `--x509pop-ca-bundle`, or join with a token";
        return Err(ErrorCode::X509popOff.status(message).into());
    };
    let Some(Said::Offer(offer)) = next(said, OFFER_WITHIN, "offer").await? else {
        return Err(malformed("an offer comes first"));
    };
    let v1::X509PopOffer { chain, csr, nonce } = offer;
    let node_nonce: [u8; POP_NONCE_BYTES] = nonce
        .try_into()
        .map_err(|_| malformed("the offer's nonce has not 32 bytes"))?;
    if csr.len() > tidelock_ca::MAX_CSR_BYTES {
        return Err(malformed("the certificate signing request is too long"));
    }
    // Only who shows a good certificate is kept in memory while it signs.
    let certificate = followed(core, pop, chain).await?;
    let node = named(&certificate)?;
    let Ok(_slot) = core.challenges.slots.try_acquire() else {
        let message = "too many nodes attest at once; try again";
        return Err(ErrorCode::LimitReached.status(message).into());
    };
    let server_nonce = challenge(answers).await?;
    let Some(Said::Proof(proof)) = next(said, pop.proof_within, "proof").await? else {
        return Err(malformed("a proof comes second"));
    };
    let message = PopMessage {
        trust_domain: core.trust_domain.as_str(),
        server_nonce: &server_nonce,
        node_nonce: &node_nonce,
        certificate: certificate.der(),
        csr: &csr,
    };
    if !certificate.proves(&message.to_bytes(), &proof.signature) {
        return Err(bad_proof(
            "the signature is not of the certificate's key over this challenge",
        ));
    }
    admit(core, caller, node, &certificate, &csr).await
}

/// The certificate, if its chain leads to a root. Chains wait their turn, and are followed where that keeps nobody else waiting.
async fn followed(
    core: &Core,
    pop: &Arc<X509Pop>,
    chain: Vec<Vec<u8>>,
) -> Result<NodeCertificate, Failure> {
    let internal = || ErrorCode::Internal.status("the certificate could not be looked at");
    let turn = Arc::clone(&core.challenges.followed).acquire_owned().await;
    let turn = turn.map_err(|_| internal())?;
    let pop = Arc::clone(pop);
    let work = tokio::task::spawn_blocking(move || {
        // Until it is done, even if the caller goes away meanwhile.
        let _turn = turn;
        pop.roots.verify(&chain, clock::unix_secs())
    });
    let verified = work.await.map_err(|_| internal())?;
    verified.map_err(bad_certificate)
}

/// The node that a certificate names.
fn named(certificate: &NodeCertificate) -> Result<Name, Failure> {
    let shown = crate::report::cleaned(certificate.dns_name());
    let node = Name::parse(certificate.dns_name()).map_err(|error| {
        bad_certificate(format!("its DNS name `{shown}` names no node: {error}"))
    })?;
    Ok(node)
}

/// Sends a challenge that nobody was ever sent.
async fn challenge(answers: &Answers) -> Result<[u8; POP_NONCE_BYTES], Failure> {
    let mut nonce = [0; POP_NONCE_BYTES];
    getrandom::fill(&mut nonce)
        .map_err(|error| ErrorCode::Internal.status(format!("no randomness: {error}")))?;
    let challenge = v1::X509PopChallenge {
        nonce: nonce.to_vec(),
    };
    let sent = answers.send(Ok(v1::AttestX509PopResponse {
        step: Some(Answer::Challenge(challenge)),
    }));
    let gone = |_| ErrorCode::Unavailable.status("the agent is gone");
    sent.await.map_err(gone)?;
    Ok(nonce)
}

/// The next thing said; what comes too late was not.
async fn next(said: &mut Sayings, within: Duration, what: &str) -> Result<Option<Said>, Failure> {
    let began = Instant::now();
    match tokio::time::timeout(within, said.message()).await {
        // A timer may fire a little late.
        Ok(message) if began.elapsed() <= within => Ok(message?.and_then(|message| message.step)),
        _ => Err(bad_proof(format!("no {what} came in time"))),
    }
}

/// Gives a node that has proved to hold its certificate's key its SVID.
async fn admit(
    core: &Arc<Core>,
    caller: &Caller,
    node: Name,
    certificate: &NodeCertificate,
    csr: &[u8],
) -> Result<v1::AttestResponse, Failure> {
    if let Err(limited) = core.limiter.take(&node, Instant::now()) {
        core.metrics.calls_limited.count();
        return Err(ErrorCode::LimitReached.status(limited.to_string()).into());
    }
    let _before_any_revoking = core.issuing.read().await;
    let known = core.nodes.record(&node);
    if known.is_some_and(|known| !known.certificate_allowed) {
        return Err(not_allowed(&node));
    }
    let now = clock::unix_secs();
    core.learn_budget(&node).await.map_err(Status::from)?;
    if let Err(spent) = core.budgets.room(&node, Bearer::Node, now) {
        core.metrics.calls_limited.count();
        return Err(ErrorCode::LimitReached.status(spent.to_string()).into());
    }
    let issued = match core.authority.issue_node(csr, &node, now) {
        Ok(issued) => issued,
        Err(error) if error.is_callers_fault() => {
            let code = ErrorCode::ArgumentInvalid;
            return Err(refused(node.as_str(), Reason::BadCsr, code, error));
        }
        Err(error) => {
            tracing::error!(%error, "the authority cannot issue");
            let message = "the authority cannot issue; see the control plane's log";
            return Err(ErrorCode::Internal.status(message).into());
        }
    };
    let record = NodeRecord {
        name: node.as_str().to_owned(),
        serial: issued.serial.clone(),
        previous_serial: None,
        not_after: issued.not_after,
        attested: now,
        joined_by: JoinedBy::Certificate,
        certificate_allowed: true,
    };
    let audit = entry(&node, &issued, certificate, caller);
    match core.admit_certificate(node.clone(), record, audit).await {
        Ok(true) => {
            core.budgets.count(&node, Bearer::Node, issued.not_after);
            Ok(attested(core, caller, &node, issued, v1::JoinedBy::X509pop))
        }
        Ok(false) => Err(not_allowed(&node)),
        Err(failure) => Err(Status::from(failure).into()),
    }
}

fn entry(
    node: &Name,
    issued: &Issued,
    certificate: &NodeCertificate,
    caller: &Caller,
) -> AuditEntry {
    let fingerprint = hex(&Sha256::digest(certificate.der()));
    let detail = json!({
        "serial": hex(&issued.serial),
        "not_after": issued.not_after,
        "remote": caller.remote.to_string(),
        "certificate": fingerprint,
        "certificate_serial": hex(certificate.serial()),
    });
    let actor = Actor::Certificate(fingerprint.chars().take(16).collect());
    AuditEntry::now(&actor, "node-attested", node.as_str(), &detail)
}

fn not_allowed(node: &Name) -> Failure {
    let code = ErrorCode::NodeCertificateNotAllowed;
    let detail = format!(
        "node `{node}` joined by a token, or was revoked: allow it with `tidelock node allow-certificate {node}`"
    );
    refused(node.as_str(), Reason::NotAllowed, code, detail)
}

fn refuse(core: &Core, caller: &Caller, refused: Refused) -> Status {
    let what = match refused.reason {
        Reason::BadCertificate => "the node's certificate is refused",
        Reason::BadProof => "the proof of the certificate's key is refused",
        Reason::BadCsr => "the certificate signing request is refused",
        _ => "the certificate is not allowed",
    };
    let message = format!("{what}: {}", refused.detail);
    core.metrics.attests_refused.count();
    let Refused {
        node,
        reason,
        detail,
        code,
    } = refused;
    tell(core, caller, &node, reason, detail, &message);
    code.status(message)
}
