//! From files to documents, and every error on the way.

use tidelock_spiffe_core::TrustDomain;

use super::trust_domain::MaxMarks;
use super::{
    API_VERSION, Document, DocumentError, Kind, NodeGroup, Operator, Place, Policy, PolicyMode,
    Reason, Service, TrustDomainSettings, WorkloadIdentity,
};
use crate::name::Name;
use crate::yaml::{self, Cursor, Node, Origin, Pos, Reader};

pub(super) const FIELDS: &[&str] = &["apiVersion", "kind", "metadata", "spec"];
pub(super) const METADATA_FIELDS: &[&str] = &["name"];

/// A file to apply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceFile {
    /// As the user wrote it; errors repeat it.
    pub name: String,
    /// What is in it.
    pub text: String,
    /// How to read it.
    pub format: Format,
}

/// How a file is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// YAML documents.
    Yaml,
    /// Cedar policies: one [`Policy`] named after the file, less folder and extension.
    Cedar,
}

/// A document, and where its parts stand.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    pub(crate) document: Document,
    pub(crate) file: String,
    /// Where the document's name stands.
    pub(crate) pos: Pos,
    pub(crate) marks: Marks,
}

/// Where those parts of a document stand that can only be judged together with other documents.
#[derive(Clone, Debug)]
pub(crate) enum Marks {
    /// A WorkloadIdentity's.
    Identity(IdentityMarks),
    /// A Service's addresses, in their order.
    Addresses(Vec<Pos>),
    /// A Policy's text.
    Cedar(Origin),
    /// An Operator is judged by itself.
    Operator,
    /// A NodeGroup is judged by those who name it.
    NodeGroup,
    /// A TrustDomain's bounds.
    TrustDomain(MaxMarks),
}

/// Where parts of a WorkloadIdentity stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdentityMarks {
    /// Its SPIFFE ID.
    pub(super) id: Pos,
    /// Life of its X509-SVIDs.
    pub(super) ttl: Option<Pos>,
    /// Life of its JWT-SVIDs.
    pub(super) jwt_ttl: Option<Pos>,
}

impl Marks {
    /// Where a WorkloadIdentity says how long its X509-SVIDs and JWT-SVIDs live.
    pub(super) fn ttls(&self) -> (Option<Pos>, Option<Pos>) {
        match self {
            Self::Identity(marks) => (marks.ttl, marks.jwt_ttl),
            _ => (None, None),
        }
    }
}

impl Parsed {
    pub(crate) fn place(&self) -> Place {
        Place::File {
            file: self.file.clone(),
            pos: Some(self.pos),
        }
    }
}

/// Parses files one by one: what can be said of each document by itself.
///
/// # Errors
/// Every error of every file, in order.
pub fn parse_files(
    files: &[SourceFile],
    trust_domain: TrustDomain<'_>,
) -> Result<Vec<Document>, Vec<DocumentError>> {
    let mut errors = Vec::new();
    let parsed = parse(files, trust_domain, &mut errors);
    if errors.is_empty() {
        Ok(parsed.into_iter().map(|p| p.document).collect())
    } else {
        Err(in_order(files, errors))
    }
}

/// Parses files; documents with errors are left out.
pub(crate) fn parse(
    files: &[SourceFile],
    ours: TrustDomain<'_>,
    errors: &mut Vec<DocumentError>,
) -> Vec<Parsed> {
    let mut parsed = Vec::new();
    let mut found = 0;
    for file in files {
        let mut reader = Reader::new(&file.name, errors);
        if file.format == Format::Cedar {
            found += 1;
            parsed.extend(cedar_file(&mut reader, file));
            continue;
        }
        let loaded = yaml::documents(&file.text);
        found += loaded.documents.len();
        for node in &loaded.documents {
            parsed.extend(document(&mut reader, node, ours));
        }
        if let Some((pos, error)) = loaded.error {
            found += 1;
            reader.refuse_at(pos, String::new(), Reason::Syntax(error));
        }
    }
    if found == 0 {
        let file = files.first().map(|f| f.name.clone()).unwrap_or_default();
        errors.push(DocumentError {
            file,
            pos: None,
            field: String::new(),
            reason: Reason::NoDocument,
        });
    }
    parsed
}

/// Sorts errors as a reader goes through the files; what has no place comes last.
pub(crate) fn in_order(files: &[SourceFile], mut errors: Vec<DocumentError>) -> Vec<DocumentError> {
    let order = |error: &DocumentError| files.iter().position(|file| file.name == error.file);
    errors.sort_by_cached_key(|error| {
        (
            order(error).unwrap_or(files.len()),
            error.pos.is_none(),
            error.pos,
        )
    });
    errors
}

fn document(reader: &mut Reader<'_>, node: &Node, ours: TrustDomain<'_>) -> Option<Parsed> {
    let fields = reader.fields(Cursor::document(node), FIELDS)?;
    if let Some(at) = reader.required(&fields, "apiVersion")
        && let Some(text) = reader.text(&at)
        && text.text != API_VERSION
    {
        reader.refuse(
            &at,
            Reason::ApiVersion {
                found: text.text.clone(),
            },
        );
    }
    let kind = reader
        .required(&fields, "kind")
        .and_then(|at| kind(reader, &at));
    let name = reader
        .required(&fields, "metadata")
        .and_then(|at| name(reader, at, kind));
    let spec = reader.required(&fields, "spec");
    let (kind, spec) = (kind?, spec?);
    let pos = name.as_ref().map_or(node.pos, |(_, pos)| *pos);
    let name = name.map(|(name, _)| name);
    let (document, marks) = match kind {
        Kind::WorkloadIdentity => {
            let (identity, marks) = WorkloadIdentity::read(reader, name, spec, ours)?;
            (Document::WorkloadIdentity(identity), Marks::Identity(marks))
        }
        Kind::Service => {
            let (service, places) = Service::read(reader, name, spec, ours)?;
            (Document::Service(service), Marks::Addresses(places))
        }
        Kind::Policy => {
            let (policy, origin) = Policy::read(reader, name, spec)?;
            (Document::Policy(policy), Marks::Cedar(origin))
        }
        Kind::NodeGroup => {
            let group = NodeGroup::read(reader, name, spec)?;
            (Document::NodeGroup(group), Marks::NodeGroup)
        }
        Kind::TrustDomain => {
            let name = name.map(|name| (name, pos));
            let (settings, marks) = TrustDomainSettings::read(reader, name, spec, ours)?;
            (Document::TrustDomain(settings), Marks::TrustDomain(marks))
        }
        Kind::Operator => {
            let operator = Operator::read(reader, name, spec)?;
            (Document::Operator(operator), Marks::Operator)
        }
    };
    Some(Parsed {
        document,
        file: reader.file().to_owned(),
        pos,
        marks,
    })
}

fn kind(reader: &mut Reader<'_>, at: &Cursor<'_>) -> Option<Kind> {
    let text = &reader.text(at)?.text;
    let kind = Kind::parse(text);
    if kind.is_none() {
        reader.refuse(
            at,
            Reason::UnknownKind {
                found: text.clone(),
            },
        );
    }
    kind
}

/// Names differ by kind; that of a document of no kind is judged as most are.
fn name(reader: &mut Reader<'_>, metadata: Cursor<'_>, kind: Option<Kind>) -> Option<(Name, Pos)> {
    let fields = reader.fields(metadata, METADATA_FIELDS)?;
    let at = reader.required(&fields, "name")?;
    let text = reader.text(&at)?;
    let parsed = match kind {
        Some(kind) => kind.parse_name(&text.text),
        None => Name::parse(&text.text),
    };
    let name = parsed
        .map_err(|error| reader.refuse(&at, Reason::Name(error)))
        .ok()?;
    Some((name, at.pos()))
}

fn cedar_file(reader: &mut Reader<'_>, file: &SourceFile) -> Option<Parsed> {
    let pos = Pos { line: 1, column: 1 };
    let base = file.name.rsplit('/').next().unwrap_or_default();
    let stem = base.rsplit_once('.').map_or(base, |(stem, _)| stem);
    match Name::parse(stem) {
        Ok(name) => Some(Parsed {
            document: Document::Policy(Policy {
                name,
                cedar: file.text.clone(),
                mode: PolicyMode::Enforce,
            }),
            file: file.name.clone(),
            pos,
            marks: Marks::Cedar(Origin::Verbatim {
                start: pos,
                indent: 1,
            }),
        }),
        Err(error) => {
            reader.refuse_at(pos, "metadata.name".to_owned(), Reason::Name(error));
            None
        }
    }
}
