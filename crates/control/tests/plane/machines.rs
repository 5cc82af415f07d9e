//! Machines with certificates of a company's own CA, and how they attest.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SigningKey as _,
};
use tempfile::TempDir;
use tidelock_control::{ControlPlane, X509Pop};
use tidelock_proto::v1::attest_x509_pop_request::Step as Say;
use tidelock_proto::v1::attest_x509_pop_response::Step as Answer;
use tidelock_proto::{POP_NONCE_BYTES, PopMessage, v1};
use tidelock_spiffe_core::pem;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::common::{NodeKeys, Plane, csr, next, node_keys, options};

/// A company's CA, and one below it.
pub(crate) struct Ca {
    pub(crate) der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

/// A machine's chain and key.
pub(crate) struct Machine {
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) key: KeyPair,
}

/// A stream on which a machine attests.
pub(crate) struct Talk {
    pub(crate) say: mpsc::Sender<v1::AttestX509PopRequest>,
    pub(crate) answers: Streaming<v1::AttestX509PopResponse>,
}

pub(crate) fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let name_type = rcgen::DnType::CommonName;
    params.distinguished_name.push(name_type, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

pub(crate) fn expired(params: &mut CertificateParams) {
    let day = time::Duration::days(1);
    params.not_before = OffsetDateTime::now_utc() - day * 2;
    params.not_after = OffsetDateTime::now_utc() - day;
}

impl Ca {
    pub(crate) fn root() -> Self {
        Self::of(ca_params("a root"))
    }

    pub(crate) fn of(params: CertificateParams) -> Self {
        let key = KeyPair::generate().expect("key");
        let der = params.self_signed(&key).expect("signs").der().to_vec();
        let issuer = Issuer::new(params, key);
        Self { der, issuer }
    }

    pub(crate) fn below(&self) -> Self {
        let (key, params) = (KeyPair::generate().expect("key"), ca_params("below"));
        let certificate = params.signed_by(&key, &self.issuer).expect("signs");
        let der = certificate.der().to_vec();
        let issuer = Issuer::new(params, key);
        Self { der, issuer }
    }

    pub(crate) fn machine(&self, name: &str) -> Machine {
        self.machine_as(name, |_| {})
    }

    pub(crate) fn machine_as(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Machine {
        let mut params = CertificateParams::new([name.to_owned()]).expect("ASCII");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signs");
        let chain = vec![certificate.der().to_vec()];
        Machine { chain, key }
    }
}

pub(crate) async fn plane(cas: &[&Ca]) -> Plane {
    plane_within(cas, tempfile::tempdir().expect("temp dir"), None).await
}

pub(crate) async fn plane_within(
    cas: &[&Ca],
    dir: TempDir,
    proof_within: Option<Duration>,
) -> Plane {
    let roots: String = cas
        .iter()
        .map(|ca| pem::encode("CERTIFICATE", &ca.der))
        .collect();
    let mut options = options(dir.path());
    let mut pop = X509Pop::from_pem(&roots).expect("roots");
    pop.proof_within = proof_within.unwrap_or(pop.proof_within);
    options.x509pop = Some(pop);
    let plane = ControlPlane::start(options).await.expect("start");
    Plane { dir, plane }
}

pub(crate) fn offer(machine: &Machine, csr: &[u8]) -> v1::X509PopOffer {
    v1::X509PopOffer {
        chain: machine.chain.clone(),
        csr: csr.to_vec(),
        nonce: vec![7; POP_NONCE_BYTES],
    }
}

/// The proof of a machine's key, for an offer and a challenge.
pub(crate) fn proof(machine: &Machine, offer: &v1::X509PopOffer, challenge: &[u8]) -> Vec<u8> {
    let message = PopMessage {
        trust_domain: "example.org",
        server_nonce: challenge.try_into().expect("32 bytes"),
        node_nonce: offer.nonce[..].try_into().expect("32 bytes"),
        certificate: &offer.chain[0],
        csr: &offer.csr,
    };
    machine.key.sign(&message.to_bytes()).expect("signs")
}

impl Talk {
    pub(crate) async fn open(plane: &Plane) -> Self {
        let (say, said) = mpsc::channel(4);
        let mut client = plane.node(None).await;
        let answers = client.attest_x509_pop(ReceiverStream::new(said)).await;
        let answers = answers.expect("a stream").into_inner();
        Self { say, answers }
    }

    pub(crate) async fn say(&self, step: Say) {
        let request = v1::AttestX509PopRequest { step: Some(step) };
        // Where the stream has ended, the answer says why.
        let _ = self.say.send(request).await;
    }

    pub(crate) async fn answer(&mut self) -> Result<Answer, Status> {
        let answer = next(&mut self.answers).await.expect("an answer")?;
        Ok(answer.step.expect("a step"))
    }

    pub(crate) async fn challenge(&mut self, offer: &v1::X509PopOffer) -> Result<Vec<u8>, Status> {
        self.say(Say::Offer(offer.clone())).await;
        match self.answer().await? {
            Answer::Challenge(challenge) => Ok(challenge.nonce),
            Answer::Attested(_) => panic!("an SVID without proof"),
        }
    }

    pub(crate) async fn prove(&mut self, signature: Vec<u8>) -> Result<v1::AttestResponse, Status> {
        self.say(Say::Proof(v1::X509PopProof { signature })).await;
        match self.answer().await? {
            Answer::Attested(answer) => Ok(answer),
            Answer::Challenge(_) => panic!("a second challenge"),
        }
    }
}

pub(crate) async fn attest(plane: &Plane, machine: &Machine) -> Result<NodeKeys, Status> {
    let key = KeyPair::generate().expect("key");
    let offer = offer(machine, &csr(&key));
    let mut talk = Talk::open(plane).await;
    let challenge = talk.challenge(&offer).await?;
    let answer = talk.prove(proof(machine, &offer, &challenge)).await?;
    Ok(node_keys(&key, answer.chain))
}
