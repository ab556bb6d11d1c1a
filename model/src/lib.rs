//! The commit of a push, as a model that is explored exhaustively. The sections that are named here
//! are those of `docs/PROTOCOL.md`.
//!
//! `PutImage` stores an image, moves a tag and keeps four counts with one conditional transaction
//! and no lock. Tests of the function cannot show that this is correct under every interleaving,
//! crash, lost response and late copy. The model shows it, by visiting every state that small
//! scenarios can reach.
//!
//! # What is modelled
//!
//! * The table's items, and S3's spilled bodies ([`store`]). A transaction is one step, or becomes
//!   visible to plain reads item by item until it is acknowledged.
//! * The call: what it reads and when, what it decides, confirms and sends, and what it does after
//!   the response ([`push`], [`decision`], [`commit`]).
//! * The conditions and updates of the transaction ([`rows`], [`expressions`]), under the exact
//!   text that the function sends; `tests/model_agrees.rs` compares the two.
//! * An adversary: any interleaving; a crash at any step; lost responses to a transaction that was
//!   applied or not; copies of requests that arrive later; changes of settings; deletions of tags,
//!   images and the repository; purge and re-creation; a sweeper of bodies ([`environment`]).
//! * The invariants ([`invariants`]), for every instant and for every step. A push may be applied
//!   only if the specification, a function of the whole table at one instant, applies it, and a
//!   rejection must have been the specification's result at an instant of the call. A repository is
//!   therefore linearizable as one object.
//! * Mutants ([`mutants`]): the protocol without one condition, update or rule. Each must break an
//!   invariant, or be listed with the reason why it is equivalent.
//!
//! # What is not modelled
//!
//! Layers, keys, policies and filters (results depend on them, but no race does); a status other
//! than `ACTIVE`; `TransactionConflict` and throttling, which repeat a step that the model repeats
//! anyway; time, and so whether a call ever ends; more than three concurrent pushes; the copies of
//! META in the protocol's section 8 (the service has one). Numbers are small: two tags per image,
//! one or two children, two or three attempts instead of 24. A big index also has two children,
//! each read by a transaction of its own, and its confirmation reads one.
//!
//! # The checker
//!
//! [`stateright`] searches breadth-first with a hash set. It is MIT-licensed and depends on
//! `tiny_http`, for an explorer in the browser that is not used here, but on no asynchronous web
//! stack. It keeps 64-bit fingerprints instead of states: among the 775,000 states of the largest
//! scenario, the probability that two have the same fingerprint, which would hide what follows, is
//! about one in sixty million.

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
    /// The actors and the repository that they start from.
    pub scenario: Scenario,
    /// What the protocol lacks.
    pub mutant: Option<Mutant>,
}

impl Protocol {
    pub(crate) fn has(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}
