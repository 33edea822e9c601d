//! Where a page begins and ends.

use serde_json::Value;

use super::Page;

/// Items on a page when not told (open), and at most.
const LIMIT: usize = 20;
const LIMIT_MAX: usize = 100;

/// A place in time; the internal id tells apart what is of the same second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in super::super) struct Position {
    pub(in super::super) time: u64,
    pub(in super::super) internal: u64,
}

/// Which way the pages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Direction {
    /// From the latest to the oldest.
    Prev,
    /// From the oldest to the latest.
    Next,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct PageRequest {
    pub(super) limit: usize,
    pub(super) direction: Direction,
    pub(super) include_system: bool,
    start: Start,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    End,
    /// This second and what lies beyond it.
    At(u64),
    /// What lies beyond.
    Beyond(Position),
}

impl PageRequest {
    /// Reads a query; the name of the parameter that makes no sense otherwise. `nextPage` replaces the others.
    pub(in super::super) fn read(query: &[(String, String)]) -> Result<Self, &'static str> {
        let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let number = |name: &'static str| value(name).map(str::parse::<u64>).transpose().map_err(|_| name);
        let limit = number("limit")?.map_or(LIMIT, |limit| usize::try_from(limit).unwrap_or(LIMIT_MAX));
        let direction = match value("direction") {
            None | Some("prev") => Direction::Prev,
            Some("next") => Direction::Next,
            Some(_) => return Err("direction"),
        };
        let mut request = Self {
            limit: limit.clamp(1, LIMIT_MAX),
            direction,
            include_system: value("includeSystemMessages").is_some_and(|value| value != "0"),
            start: match (number("lastTime")?, number("lastInternalId")?) {
                (Some(time), Some(internal)) => Start::Beyond(Position { time, internal }),
                (Some(time), None) => Start::At(time),
                (None, _) => Start::End,
            },
        };
        if let Some(cursor) = value("nextPage").filter(|cursor| !cursor.is_empty()) {
            let (direction, position) = read_cursor(cursor).ok_or("nextPage")?;
            request.direction = direction;
            request.start = Start::Beyond(position);
        }
        Ok(request)
    }

    /// Whether an item there is on this page or one of the next.
    pub(super) fn reaches(&self, direction: Direction, item: Position) -> bool {
        match (self.start, direction) {
            (Start::End, _) => true,
            (Start::At(time), Direction::Prev) => item.time <= time,
            (Start::At(time), Direction::Next) => item.time >= time,
            (Start::Beyond(last), Direction::Prev) => item < last,
            (Start::Beyond(last), Direction::Next) => item > last,
        }
    }

    /// The first items, and the cursor behind them where there are more.
    pub(super) fn cut<T>(
        &self,
        direction: Direction,
        found: Vec<T>,
        position: impl Fn(&T) -> Position,
        item: impl Fn(&T) -> Value,
    ) -> Page {
        let next = (found.len() > self.limit).then(|| cursor(direction, position(&found[self.limit - 1])));
        Page { items: found.iter().take(self.limit).map(item).collect(), next }
    }
}

fn cursor(direction: Direction, position: Position) -> String {
    let way = match direction {
        Direction::Prev => 'p',
        Direction::Next => 'n',
    };
    format!("{way}{:x}.{:x}", position.time, position.internal)
}

fn read_cursor(text: &str) -> Option<(Direction, Position)> {
    let (direction, rest) = match text.split_at_checked(1)? {
        ("p", rest) => (Direction::Prev, rest),
        ("n", rest) => (Direction::Next, rest),
        _ => return None,
    };
    let (time, internal) = rest.split_once('.')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    Some((direction, Position { time: number(time)?, internal: number(internal)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &[(&str, &str)]) -> Result<PageRequest, &'static str> {
        let query: Vec<_> = query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        PageRequest::read(&query)
    }

    #[test]
    fn no_page_is_larger_than_a_hundred() {
        let limit = |text| read(&[("limit", text)]).map(|request| request.limit);
        assert_eq!((limit("100"), limit("101"), limit("0")), (Ok(100), Ok(100), Ok(1)));
        assert_eq!(limit("many"), Err("limit"));
        assert_eq!(read(&[]).map(|request| request.limit), Ok(LIMIT));
    }

    #[test]
    fn a_cursor_says_where_and_which_way() {
        let position = Position { time: 1_700_000_000, internal: 5_000_001 };
        let text = cursor(Direction::Next, position);
        let request = read(&[("nextPage", &text), ("lastTime", "5"), ("direction", "prev")]).expect("a cursor");
        assert_eq!((request.direction, request.start), (Direction::Next, Start::Beyond(position)));
        for broken in ["x1.2", "p", "p1", "pz.1", "я1.2"] {
            assert_eq!(read(&[("nextPage", broken)]), Err("nextPage"), "{broken}");
        }
    }
}
