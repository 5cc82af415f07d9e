//! A control plane in memory: one plan at a time, and a signer.

use std::collections::BTreeMap;

use super::catalogue::Plan;
use crate::core::{SignFailure, SignRequest, SignedSvid};

#[derive(Debug)]
pub(super) struct Control {
    pub(super) up: bool,
    pub(super) generation: u64,
    /// Every plan there was, by its generation.
    pub(super) plans: BTreeMap<u64, Plan>,
    last_serial: u64,
    /// Certificates that are believed no more.
    pub(super) revoked: Vec<Vec<u8>>,
    /// Certificates are dated back by this much.
    pub(super) backdate_secs: i64,
}

impl Control {
    pub(super) fn new() -> Self {
        Self {
            up: true,
            generation: 0,
            plans: BTreeMap::new(),
            last_serial: 0,
            revoked: Vec::new(),
            backdate_secs: 10,
        }
    }

    pub(super) fn apply(&mut self, plan: Plan) {
        self.generation += 1;
        self.plans.insert(self.generation, plan);
    }

    pub(super) fn plan(&self) -> Option<Plan> {
        self.plans.get(&self.generation).copied()
    }

    pub(super) fn sign(
        &mut self,
        request: &SignRequest,
        unix_secs: i64,
    ) -> Result<SignedSvid, SignFailure> {
        if !self.up {
            return Err(SignFailure::Unreachable);
        }
        let plan = self.plan().filter(|plan| plan.admits(&request.spiffe_id));
        let Some(plan) = plan else {
            let why = "no such entry".into();
            return Err(SignFailure::Refused { why });
        };
        assert_eq!(
            request.csr,
            request.key.to_le_bytes(),
            "the request of this key"
        );
        self.last_serial += 1;
        let not_after = unix_secs + i64::from(plan.ttl_secs);
        let leaf = [self.last_serial.to_le_bytes(), not_after.to_le_bytes()].concat();
        Ok(SignedSvid {
            chain: vec![leaf],
            spiffe_id: request.spiffe_id.clone(),
            issuer: Vec::new(),
            not_before: unix_secs - self.backdate_secs,
            not_after,
        })
    }
}
