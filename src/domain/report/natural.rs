//! The order in which people list codes: `A2` before `A10`.

use std::cmp::Ordering;

/// Runs of digits compare as numbers, all else by character; codes that differ only in leading
/// zeros by their text, so that no two codes are equal.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (Some(x), Some(y)) = (left.chars().next(), right.chars().next()) else {
            return left.len().cmp(&right.len()).then_with(|| a.cmp(b));
        };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (number, rest) = digits(left);
            let (other, other_rest) = digits(right);
            // Without leading zeros a longer run is a greater number.
            let order = number.len().cmp(&other.len()).then(number.cmp(other));
            if order != Ordering::Equal {
                return order;
            }
            (left, right) = (rest, other_rest);
        } else if x == y {
            (left, right) = (&left[x.len_utf8()..], &right[y.len_utf8()..]);
        } else {
            return x.cmp(&y);
        }
    }
}

/// The leading run of digits without its zeros, and what follows it.
fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (text[..end].trim_start_matches('0'), &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_within_codes_count_as_numbers() {
        let mut codes = vec![
            "B",
            "A10",
            "A2",
            "A",
            "a",
            "A02",
            "A2b",
            "10",
            "9",
            "Ä",
            "A99999999999999999999999",
        ];
        codes.sort_by(|a, b| compare(a, b));
        assert_eq!(
            codes,
            [
                "9",
                "10",
                "A",
                "A02",
                "A2",
                "A2b",
                "A10",
                "A99999999999999999999999",
                "B",
                "a",
                "Ä"
            ]
        );
    }

    proptest! {
        #[test]
        fn it_is_a_total_order(a in "[aB0-9ä]{0,6}", b in "[aB0-9ä]{0,6}", c in "[aB0-9ä]{0,6}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &b) == Ordering::Equal, a == b);
            let mut codes = [a, b, c];
            codes.sort_by(|a, b| compare(a, b));
            prop_assert_ne!(compare(&codes[0], &codes[2]), Ordering::Greater);
        }
    }
}
