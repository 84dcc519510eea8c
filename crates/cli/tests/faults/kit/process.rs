//! What Linux says about a running process.

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// Resident memory now, in bytes.
pub(crate) fn resident(process: u32) -> u64 {
    status(process, "VmRSS:")
}

/// The most resident memory since [`reset_peak`], in bytes.
pub(crate) fn peak(process: u32) -> u64 {
    status(process, "VmHWM:")
}

/// proc_pid_clear_refs(5): 5 resets the peak.
pub(crate) fn reset_peak(process: u32) {
    fs::write(format!("/proc/{process}/clear_refs"), "5").expect("clear_refs can be written");
}

/// Processor time used so far, by all threads.
pub(crate) fn processor_time(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the process lives");
    // proc_pid_stat(5): the name in parentheses may hold spaces; utime and stime are the 12th and 13th fields behind it.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11..13]
        .iter()
        .map(|field| field.parse::<u64>().expect("a number"))
        .sum();
    // USER_HZ is 100 on every Linux there is.
    Duration::from_millis(ticks * 10)
}

/// How long a thread has stood ready to run while others had the processor, so far. It tells a slow server from a busy machine.
#[derive(Debug)]
pub(crate) struct Waited(Option<fs::File>);

impl Waited {
    /// Of the main thread of a process.
    pub(crate) fn of(process: u32) -> Self {
        Self(fs::File::open(format!("/proc/{process}/schedstat")).ok())
    }

    /// Of this thread.
    pub(crate) fn of_this_thread() -> Self {
        Self(fs::File::open("/proc/thread-self/schedstat").ok())
    }

    /// Zero where the kernel does not count it.
    pub(crate) fn so_far(&self) -> Duration {
        let mut text = [0; 128];
        let length = self
            .0
            .as_ref()
            .and_then(|file| file.read_at(&mut text, 0).ok())
            .unwrap_or(0);
        let fields = String::from_utf8_lossy(&text[..length]);
        // Documentation/scheduler/sched-stats.rst: time running, time waiting to run (both in ns), time slices.
        let waited = fields
            .split_whitespace()
            .nth(1)
            .and_then(|field| field.parse().ok());
        Duration::from_nanos(waited.unwrap_or(0))
    }
}

/// Open descriptors.
pub(crate) fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd"))
        .expect("the process lives")
        .count()
}

fn status(process: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse::<u64>().ok());
    kibibytes.expect("proc_pid_status(5)") * 1024
}
