//! What becomes known of a panic.

/// From now on a panic is logged by its place alone. Its text may quote what a caller sent, and what
/// callers send are secrets.
pub fn log_places_only() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}
