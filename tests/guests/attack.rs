//! The ways to misbehave, the same for each kind of plugin.

/// Does what the name says, and nothing for a name that is no attack.
pub fn perform(name: &str) {
    match name {
        "trap" => std::process::abort(),
        "spin" => loop {
            std::hint::black_box(());
        },
        "memory" => {
            let mut kept: Vec<Vec<u8>> = Vec::new();
            loop {
                // Written, so that no optimiser leaves it out.
                kept.push(vec![1; 1 << 20]);
                std::hint::black_box(&kept);
            }
        }
        _ => {}
    }
}
