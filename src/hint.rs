//! What a person can do about an error. The program that shows a hint calls options and verbs by its own names.
//!
//! The library knows its own options and verbs, and no flags. The command shows `--exclude` where a hint mentions
//! [`OptionName::Exclude`]; another program may show the label of a field.

use std::fmt;

/// What to do about an error, in one clause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Mention(Mention),
}

/// Something that a hint mentions and that other programs call by other names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mention {
    /// An option of a verb.
    Option(OptionName),
    /// A verb, by the name of its function.
    Verb(&'static str),
    /// A setting, by the name of its variable.
    Setting(&'static str),
    /// A location with this transport, where the path is not known here.
    Location(&'static str),
}

macro_rules! option_names {
    ($($name:ident $field:literal;)*) => {
        /// An option that a hint mentions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum OptionName {
            $(
                #[doc = concat!("`", $field, "`.")]
                $name,
            )*
        }

        impl OptionName {
            /// All options.
            pub const ALL: &'static [OptionName] = &[$(OptionName::$name),*];

            /// Returns the field, with the value if it is one of a few.
            pub fn field(self) -> &'static str {
                match self {
                    $(OptionName::$name => $field,)*
                }
            }
        }
    };
}

option_names! {
    Add "IndexOptions::existing";
    AdditionalTags "TargetOptions::additional_tags";
    AllPlatforms "Which::All";
    Annotations "ImageChanges::annotations";
    Architecture "PlatformChanges::architecture";
    Attached "attached";
    Base "BuildSpec::base";
    Checksum "TargetOptions::checksum";
    DescriptorAnnotations "IndexOptions::descriptor_annotations";
    Exclude "ScanPolicy::exclude";
    Flat "Shape::Flat";
    GidMap "OwnerPolicy::Mapped::gids";
    LegacyOnly "DockerForm::LegacyOnly";
    MaxMetadata "Limits::metadata";
    MaxRatio "Limits::ratio";
    MaxUnpacked "Limits::unpacked";
    MediaType "AttachOptions::media_type";
    Os "PlatformChanges::os";
    Platform "platform";
    PreserveDigests "Digests::Preserved";
    Remove "IndexOptions::remove";
    Replace "SamePlatform::Replaced";
    Repository "TargetOptions::repository";
    Rootless "Rights::Rootless";
    Tags "tags";
    UidMap "OwnerPolicy::Mapped::uids";
    Untagged "Removed::Untagged";
}

impl Hint {
    /// Adds text.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part::Text(text.into()));
        self
    }

    /// Mentions an option.
    #[must_use]
    pub fn option(self, name: OptionName) -> Self {
        self.mention(Mention::Option(name))
    }

    /// Mentions a verb.
    #[must_use]
    pub fn verb(self, name: &'static str) -> Self {
        self.mention(Mention::Verb(name))
    }

    /// Mentions a setting.
    #[must_use]
    pub fn setting(self, variable: &'static str) -> Self {
        self.mention(Mention::Setting(variable))
    }

    /// Mentions a location whose path stands elsewhere.
    #[must_use]
    pub fn location(self, transport: &'static str) -> Self {
        self.mention(Mention::Location(transport))
    }

    fn mention(mut self, mention: Mention) -> Self {
        self.0.push(Part::Mention(mention));
        self
    }

    /// Goes on with another hint.
    #[must_use]
    pub fn then(mut self, other: Hint) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Returns the hint with each mention worded by `word`.
    pub fn worded(&self, word: impl Fn(Mention) -> String) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Mention(mention) => word(*mention),
        });
        parts.collect()
    }
}

impl From<&str> for Hint {
    fn from(text: &str) -> Self {
        Hint::default().text(text)
    }
}

impl From<String> for Hint {
    fn from(text: String) -> Self {
        Hint::default().text(text)
    }
}

/// In the library's own words.
impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.worded(|mention| mention.to_string()))
    }
}

impl fmt::Display for Mention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mention::Option(name) => write!(f, "`{}`", name.field()),
            Mention::Verb(name) => write!(f, "`{name}`"),
            Mention::Setting(variable) => f.write_str(variable),
            Mention::Location("oci") => f.write_str("`oci:DIR`"),
            Mention::Location(transport) => write!(f, "`{transport}:FILE`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_are_worded_by_whoever_shows_them() {
        let hint =
            Hint::from("leave it out with ").option(OptionName::Exclude).text(", or ").verb("convert").text(" it");
        assert_eq!(hint.to_string(), "leave it out with `ScanPolicy::exclude`, or `convert` it");
        let word = |mention| match mention {
            Mention::Option(_) => "--exclude".to_owned(),
            other => format!("<{other}>"),
        };
        assert_eq!(hint.worded(word), "leave it out with --exclude, or <`convert`> it");
    }
}
