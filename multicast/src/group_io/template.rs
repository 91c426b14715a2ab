//! `--reply`: a text with places for what changes.

/// What `--reply` gives for one question: `{client}` is the client's name, `{text}` the question.
pub(crate) fn fill(template: &str, client: &[u8], text: &[u8]) -> Vec<u8> {
    let mut filled = Vec::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        filled.extend(&rest.as_bytes()[..open]);
        rest = &rest[open..];
        let places: [(&str, &[u8]); 2] = [("{client}", client), ("{text}", text)];
        let place = places.into_iter().find(|(place, _)| rest.starts_with(place));
        let (skip, with) = place.map_or((1, &b"{"[..]), |(place, with)| (place.len(), with));
        filled.extend(with);
        rest = &rest[skip..];
    }
    filled.extend(rest.as_bytes());
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_once_and_braces_of_others_left_alone() {
        let filled = |template| String::from_utf8(fill(template, b"2", b"{client}?")).unwrap();
        assert_eq!(filled("Hello {client}"), "Hello 2");
        assert_eq!(filled("{text}|{client}|{who}|{"), "{client}?|2|{who}|{");
    }
}
