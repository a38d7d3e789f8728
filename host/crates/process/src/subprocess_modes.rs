//! The other lives of the host's program.

use crate::shim_arguments::SHIM;
use std::ffi::OsString;
use std::process::ExitCode;

/// `dispatch` runs a shim or a reaper where the arguments (the program's name first) ask for one, and answers with its exit
/// code; otherwise it does nothing. `main` calls it before anything else, above all before there is a second thread.
pub fn dispatch(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut args = args.into_iter().skip(1);
    if args.next()? != SHIM {
        return None;
    }
    let words: Vec<String> = args.map(|a| a.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Some(match words.as_slice() {
        #[cfg(target_os = "linux")]
        [crate::shim_arguments::CONTROL, fd] => crate::shim::main(fd),
        #[cfg(target_os = "linux")]
        [crate::shim_arguments::REAPER, instance_id] => crate::reaper::main(instance_id),
        _ => ExitCode::from(2),
    })
}
