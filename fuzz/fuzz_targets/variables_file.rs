//! Any variables file is refused or resolved, with an error that names the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocibake::settings::{BuildSpec, Settings, VarsFile};

fuzz_target!(|text: &[u8]| {
    match VarsFile::parse("fuzz.vars", text) {
        Ok(vars) => {
            if let Ok(settings) = Settings::new([], [], Some(vars)) {
                let _ = BuildSpec::resolve(&settings);
            }
        }
        Err(error) => assert!(error.to_string().starts_with("fuzz.vars:"), "{error}"),
    }
});
