//! What was issued, and what of it is revoked: found without reading everything.

use super::*;

#[test]
fn finding_what_was_issued_does_not_read_the_whole_log() {
    let (_dir, store) = store();
    let connection = store.lock();
    let issued = "action IN ('svid-issued', 'node-attested', 'node-renewed')";
    for (by, index) in [
        (
            "json_extract(detail, '$.serial') = 'x'",
            "audit_issued_serial",
        ),
        ("subject = 'x'", "audit_issued_subject"),
        ("actor = 'x'", "audit_issued_actor"),
    ] {
        let sql = format!("EXPLAIN QUERY PLAN SELECT 1 FROM audit WHERE {issued} AND {by}");
        let plan: String = connection
            .query_row(&sql, [], |row| row.get(3))
            .expect("plan");
        assert!(plan.contains(index), "{plan}");
    }
}

#[test]
fn who_revoked_what_is_found_without_reading_the_whole_log() {
    let (_dir, store) = store();
    let connection = store.lock();
    let sql = format!("EXPLAIN QUERY PLAN {}", crate::store::sqlite::revoked::TOLD);
    let mut statement = connection.prepare(&sql).expect("prepare");
    let steps = statement.query_map(params![[0u8; 1], 0, 1], |row| row.get::<_, String>(3));
    let steps: Vec<_> = steps
        .expect("plan")
        .map(|step| step.expect("step"))
        .collect();
    let scans = |step: &&String| step.contains("SCAN") && step.contains("audit");
    assert_eq!(steps.iter().find(scans), None, "{steps:?}");
    assert!(
        steps
            .iter()
            .any(|step| step.contains("audit_revoked_serial")),
        "{steps:?}"
    );
}
