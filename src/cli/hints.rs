//! Hints of the library in terms of the command line: options become flags, verbs commands.

use ocibake::settings::Variable;
use ocibake::{Error, Mention, OptionName};

use super::foreign::{command, has_transport};

/// Returns the hint of an error, or `None` if it has none.
pub(super) fn of(error: &Error) -> Option<String> {
    error.hint().map(|hint| hint.worded(word))
}

fn word(mention: Mention) -> String {
    match mention {
        Mention::Option(name) => flag(name).map_or_else(|| mention.to_string(), str::to_owned),
        Mention::Verb(name) => format!("`ocibake {name}`"),
        Mention::Setting(name) => match Variable::named(name).and_then(|variable| variable.flag) {
            Some(flag) => format!("{name} ({flag})"),
            None => name.to_owned(),
        },
        Mention::Location(transport) => typed_after(transport, &super::typed()).unwrap_or_else(|| mention.to_string()),
        _ => mention.to_string(),
    }
}

/// The location whose path was typed as a word of its own: `oci out`.
fn typed_after(transport: &str, words: &[String]) -> Option<String> {
    let at = words.iter().position(|word| word == transport)?;
    let path = words.get(at + 1).filter(|path| !path.starts_with('-') && !has_transport(path))?;
    Some(command(&[&format!("{transport}:{path}")]))
}

fn flag(name: OptionName) -> Option<&'static str> {
    Some(match name {
        OptionName::Add => "--add",
        OptionName::AdditionalTags => "--additional-tag",
        OptionName::AllPlatforms => "--all-platforms",
        OptionName::Annotations => "--annotation",
        OptionName::Architecture => "--arch",
        OptionName::Attached => "--attached",
        OptionName::Base => "--base",
        OptionName::Checksum => "--checksum",
        OptionName::DescriptorAnnotations => "--descriptor-annotation",
        OptionName::Exclude => "--exclude",
        OptionName::Flat => "--flat",
        OptionName::GidMap => "--gid-map",
        OptionName::LegacyOnly => "--docker-legacy-only",
        OptionName::MaxMetadata => "--max-metadata",
        OptionName::MaxRatio => "--max-ratio",
        OptionName::MaxUnpacked => "--max-layer-size",
        OptionName::MediaType => "--type",
        OptionName::Os => "--os",
        OptionName::Platform => "--platform",
        OptionName::PreserveDigests => "--preserve-digests",
        OptionName::Remove => "--remove",
        OptionName::Replace => "--replace",
        OptionName::Repository => "--repository",
        OptionName::Rootless => "--rootless",
        OptionName::Tags => "--tag",
        OptionName::UidMap => "--uid-map",
        OptionName::Untagged => "--untagged",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_that_a_hint_mentions_has_a_flag() {
        let command = crate::cli::interface();
        for name in OptionName::ALL {
            let flag = flag(*name).unwrap_or_else(|| panic!("{name:?} has no flag"));
            let has = |verb: &clap::Command| verb.get_arguments().any(|arg| arg.get_long() == flag.strip_prefix("--"));
            let is_there = has(&command) || command.get_subcommands().any(has);
            assert!(is_there, "no verb has {flag}");
        }
    }
}
