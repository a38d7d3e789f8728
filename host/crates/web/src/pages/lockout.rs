//! How long a lockout lasts, in words.

use nexus_model::time::Millis;

/// `in 12 minutes`, for lockouts and restarts.
pub(in crate::pages) fn until(at: Millis, now: Millis) -> String {
    let seconds = at.saturating_sub(now).div_ceil(1000);
    match seconds {
        0 => "now".to_owned(),
        1 => "in 1 second".to_owned(),
        2..=90 => format!("in {seconds} seconds"),
        _ => format!("in {} minutes", seconds.div_ceil(60)),
    }
}

pub(in crate::pages) fn locked(at: Millis, now: Millis) -> String {
    format!(
        "Too many wrong attempts. This account is locked here; try again {}. To unlock it now, run `nexus user unlock \
         ACCOUNT` on the machine.",
        until(at, now)
    )
}
