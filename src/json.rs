//! How JSON is written and read where values differ from their Rust form: reports write the text that people read, and
//! documents are read as other tools write them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serializer};
use serde_json::Value;

/// Writes a value as its text.
pub(crate) fn text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Writes a value as its text, or null if there is none. Serde passes fields by reference.
#[allow(clippy::ref_option)]
pub(crate) fn optional_text<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// Writes values as their texts.
pub(crate) fn texts<T: Display, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(T::to_string))
}

/// Reads `null` as the default: Go writes an empty list or map as `null`.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a list, or null for none. Null in it is the default: Go reads it as an empty text or object.
pub(crate) fn nulls_in_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(nulls_in_optional_list(deserializer)?.unwrap_or_default())
}

/// Reads a list, or null for none. Null in it is an empty text to Go, which says nothing here, and is left out.
pub(crate) fn without_nulls<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list: Option<Vec<Option<T>>> = Option::deserialize(deserializer)?;
    Ok(list.unwrap_or_default().into_iter().flatten().collect())
}

/// Reads a list that may be missing, as [`nulls_in_list`] does.
pub(crate) fn nulls_in_optional_list<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    let list: Option<Vec<Option<T>>> = Option::deserialize(deserializer)?;
    Ok(list.map(|list| list.into_iter().map(Option::unwrap_or_default).collect()))
}

/// Reads texts by name, or null for none. Null for a text is an empty one, as Go reads it.
pub(crate) fn nulls_in_map<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(nulls_in_optional_map(deserializer)?.unwrap_or_default())
}

/// Reads texts by name that may be missing, as [`nulls_in_map`] does.
pub(crate) fn nulls_in_optional_map<'de, D>(deserializer: D) -> Result<Option<BTreeMap<String, String>>, D::Error>
where
    D: Deserializer<'de>,
{
    let map: Option<BTreeMap<String, Option<String>>> = Option::deserialize(deserializer)?;
    Ok(map.map(|map| map.into_iter().map(|(name, text)| (name, text.unwrap_or_default())).collect()))
}

/// Reads a set in JSON's way, names without values. Null for such a value is an empty object.
pub(crate) fn nulls_in_set<'de, D>(deserializer: D) -> Result<BTreeMap<String, Value>, D::Error>
where
    D: Deserializer<'de>,
{
    let set: Option<BTreeMap<String, Option<Value>>> = Option::deserialize(deserializer)?;
    let empty = || Value::Object(serde_json::Map::new());
    Ok(set.unwrap_or_default().into_iter().map(|(name, value)| (name, value.unwrap_or_else(empty))).collect())
}

/// An error if two members of an object have the same name, at any depth: readers differ in which they take (RFC 7493,
/// 2.3).
pub(crate) fn refuse_repeated(raw: &[u8]) -> Result<(), serde_json::Error> {
    NoMemberTwice.deserialize(&mut serde_json::Deserializer::from_slice(raw))
}

#[derive(Clone, Copy)]
struct NoMemberTwice;

impl<'de> DeserializeSeed<'de> for NoMemberTwice {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NoMemberTwice {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            members.next_value_seed(self)?;
            if let Some(name) = seen.replace(name) {
                return Err(A::Error::custom(format_args!("the member `{}` comes twice", name.escape_debug())));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_comes_once() {
        for (text, is_taken) in [
            (r#"{"a":1,"b":[-1,1.5,"x",null,true,{"a":{"a":{}}}]}"#, true),
            (r#"{"a":1,"A":1}"#, true),
            (r#"{"a":1,"b":2,"a":3}"#, false),
            (r#"[0,{"c":{"d":1,"\u0064":2}}]"#, false),
        ] {
            assert_eq!(refuse_repeated(text.as_bytes()).is_ok(), is_taken, "{text}");
        }
    }
}
