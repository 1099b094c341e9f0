//! What a second that is just over showed, for who watches a run.

use super::times::Times;

/// What the frames that were to be sent in one second showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recent {
    /// Which second of the measured time, from 0 on.
    pub second: usize,
    /// Half of the replies came within this time of when their frame was to be sent, in nanoseconds.
    pub p50: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1000.
    pub p99_9: u64,
    /// All.
    pub max: u64,
    /// 99 of 100 frames were sent within this time of when they were to be. Nothing in a closed loop.
    pub send_lag_p99: Option<u64>,
}

/// What shards said of one second.
#[derive(Debug, Default)]
pub(super) struct Second {
    second: usize,
    response_ns: Times,
    send_lag_ns: Times,
}

impl Second {
    pub(super) fn add(&mut self, second: usize, response_ns: &Times, send_lag_ns: &Times) {
        if second > self.second {
            *self = Second { second, ..Second::default() };
        }
        if second == self.second {
            self.response_ns.add_all(response_ns);
            self.send_lag_ns.add_all(send_lag_ns);
        }
    }

    pub(super) fn recent(&self) -> Option<Recent> {
        let [p50, p99, p99_9] = [0.5, 0.99, 0.999].map(|quantile| self.response_ns.quantile(quantile));
        Some(Recent {
            second: self.second,
            p50: p50?,
            p99: p99?,
            p99_9: p99_9?,
            max: self.response_ns.max()?,
            send_lag_p99: self.send_lag_ns.quantile(0.99),
        })
    }
}
