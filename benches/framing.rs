//! Every loop of `peers`, one after the other, by criterion. Ratios to the peers are measured by `cargo xtask bench`, which
//! runs the same loops in turn: so whatever else the machine does affects all sides.

mod peers;

use criterion::Criterion;
use peers::contests::GROUPS;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, contests) in GROUPS {
        contests(false, &mut |what, contestants| {
            let mut group = criterion.benchmark_group(format!("{name}, {what}"));
            for mut contestant in contestants {
                group.bench_function(contestant.name, |bencher| bencher.iter(&mut contestant.run));
            }
            group.finish();
        });
    }
    criterion.final_summary();
}
