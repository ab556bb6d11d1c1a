//! The commit of a push, as a model that is explored exhaustively: `docs/PROTOCOL.md`, whose sections
//! are named here.
//!
//! `PutImage` stores an image, moves a tag and keeps four counts with one conditional transaction
//! and no lock. That this is right under every interleaving, crash, lost answer and late copy is
//! not something that tests of the function can show; it is shown here, by looking at every state
//! that small scenarios can reach.
//!
//! # What is modelled
//!
//! * The table's items, and S3's spilled bodies ([`store`]); a transaction as one step, or as one
//!   that plain reads see item by item until it is acknowledged.
//! * The call: what it reads and when, what it decides, what it confirms, what it sends, what it
//!   makes of the answer ([`push`], [`decision`], [`commit`]).
//! * The conditions and updates of the transaction ([`rows`], [`expressions`]), under the very text that the
//!   function sends; `tests/model_agrees.rs` compares the two.
//! * An adversary: any interleaving; a crash at any step; lost answers, of a transaction that was
//!   applied or not; copies of requests that arrive later; settings that change, tags, images and
//!   the repository being deleted, purged and created again, and a sweeper of bodies
//!   ([`environment`]).
//! * The invariants ([`invariants`]): of every instant, and of every step. A push may be applied
//!   only where the specification, a function of the whole table at one instant, says so, and a
//!   refusal must have been its answer at an instant of the call. Together: a repository is
//!   linearizable as one object.
//! * Mutants ([`mutants`]): the protocol without one condition, update or rule. Each must break an
//!   invariant, or be named with the reason why it is equivalent.
//!
//! # What is not
//!
//! Layers, keys, policies and filters (they decide, but no race is about them); a repository that
//! is not `ACTIVE` other than by not being there; `TransactionConflict` and throttles, which repeat
//! a step that the model repeats anyway; time, so whether anything ever comes to an end; more than
//! three pushes at once; the guards of the protocol's section 8 (the service has one META item).
//! Numbers are small: two tags per image, one or two children, two or three attempts instead of
//! 24. A big index has two children too, each read by a transaction of its own, and its
//! confirmation sees one.
//!
//! # The checker
//!
//! [`stateright`]: breadth-first over a hash set. It is MIT-licensed and brings `tiny_http` for an
//! explorer in the browser that is not used here; no asynchronous web stack. It keeps 64-bit
//! fingerprints, not states: among the 775,000 of the largest scenario, that two share one and
//! hide what follows has a probability of about one in sixty million.

pub mod call;
pub mod commit;
pub mod confirm;
pub mod decision;
pub mod deleter;
pub mod environment;
pub mod explore;
pub mod expressions;
pub mod invariants;
pub mod mutants;
pub mod push;
pub mod report;
pub mod rows;
pub mod scenario;
pub mod scenarios;
pub mod small;
pub mod state;
pub mod store;
pub mod transaction;

use mutants::Mutant;
use scenario::Scenario;

/// What is explored: a scenario, and the protocol or a mutant of it.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// Who acts, on what.
    pub scenario: Scenario,
    /// What the protocol lacks.
    pub mutant: Option<Mutant>,
}

impl Protocol {
    pub(crate) fn has(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}
