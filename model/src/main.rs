//! Explores all scenarios and mutants, and prints the tables that `docs/PROOF.md` quotes.

use std::io::{self, Write};
use std::time::Instant;

use push_model::mutants::{self, Catch, Mutant};
use push_model::report::trace_of;
use push_model::scenario::Scenario;
use push_model::{Protocol, scenarios};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let lossy = scenarios::all().into_iter().filter(Scenario::has_late_copies);
    let lossy = lossy.map(Scenario::twice_as_lossy).collect();
    let torn = scenarios::all().into_iter().map(Scenario::item_by_item).collect();
    print_scenarios(&mut out, "The protocol", scenarios::all())?;
    print_scenarios(&mut out, "Two losses and two late copies", lossy)?;
    print_scenarios(&mut out, "Transactions that become visible item by item", torn)?;
    writeln!(out, "\nMutants")?;
    mutants::all().into_iter().try_for_each(|mutant| print_mutant(&mut out, mutant))
}

fn print_scenarios(out: &mut impl Write, title: &str, scenarios: Vec<Scenario>) -> io::Result<()> {
    writeln!(out, "\n{title}")?;
    let (mut states, mut transitions, began) = (0, 0, Instant::now());
    for scenario in scenarios {
        let name = scenario.name;
        let report = Protocol { scenario, mutant: None }.explore();
        states += report.states;
        transitions += report.transitions;
        writeln!(out, "  {name:46} {:9} {:10}", report.states, report.transitions)?;
        for (invariant, trace) in report.violations {
            write!(out, "    VIOLATED: {invariant}\n{}", trace_of(&trace))?;
        }
    }
    writeln!(out, "  {:46} {states:9} {transitions:10}  {:.1?}", "total", began.elapsed())
}

fn print_mutant(out: &mut impl Write, mutant: Mutant) -> io::Result<()> {
    let Some(Catch { scenario, invariant, trace }) = mutant.caught() else {
        let reason = mutant.is_equivalent_because().unwrap_or("FOR NO KNOWN REASON");
        return writeln!(out, "  {mutant:?} changes nothing: {reason}");
    };
    writeln!(out, "  {mutant:?} breaks \"{invariant}\" in {scenario}")?;
    write!(out, "{}", trace_of(&trace))
}
