//! JSON without losses: a plain parser keeps one of two members of the same name, and does not report it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Returns a document's value, and the paths of members whose name occurred before in the same object, a hundred at
/// most. The later value is kept, as most readers keep it.
pub(super) fn read(raw: &[u8]) -> Result<(Value, Vec<Path>), serde_json::Error> {
    let mut state = State::default();
    let mut deserializer = serde_json::Deserializer::from_slice(raw);
    let value = Reader(&mut state).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, state.repeated))
}

/// The names and numbers that lead to a value.
pub(super) type Path = Vec<String>;

const REPEATED: usize = 100;

#[derive(Default)]
struct State {
    path: Path,
    repeated: Vec<Path>,
}

struct Reader<'a>(&'a mut State);

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        loop {
            self.0.path.push(array.len().to_string());
            let element = elements.next_element_seed(Reader(self.0))?;
            self.0.path.pop();
            match element {
                Some(element) => array.push(element),
                None => return Ok(array.into()),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            self.0.path.push(name.clone());
            let value = members.next_value_seed(Reader(self.0))?;
            if object.insert(name, value).is_some() && self.0.repeated.len() < REPEATED {
                self.0.repeated.push(self.0.path.clone());
            }
            self.0.path.pop();
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(text: &str) -> Vec<String> {
        let (value, repeated) = read(text.as_bytes()).unwrap();
        assert_eq!(value, serde_json::from_str::<Value>(text).unwrap());
        repeated.iter().map(|path| path.join("/")).collect()
    }

    #[test]
    fn repeated_members_are_told_at_any_depth() {
        assert_eq!(repeated(r#"{"a":[1,-1,1.5,"x",null,true],"b":{"a":{}}}"#), [""; 0]);
        assert_eq!(repeated(r#"{"a":1,"b":[0,{"c":1,"\u0063":2}],"a":3}"#), ["b/1/c", "a"]);
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        let deep = "[".repeat(100_000);
        for text in ["", "{", "{}x", "{'a':1}", "{\"a\":01}", "\u{feff}{}", r#"["\ud800"]"#, &deep] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(b"\"\xff\"").is_err());
    }
}
