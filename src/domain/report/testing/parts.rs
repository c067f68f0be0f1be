//! What a test looks like in parts: by trait value, and averaged over strata.

use super::Test;
use crate::domain::report::slice::{DayOfSlice, Group, Sums};
use crate::domain::report::view::{PostStratified, Strata, TraitInteraction, TraitOfTest};
use crate::domain::stats::{self, Moments, Note, Stratum};

impl<'s, 'a> Test<'s, 'a> {
    /// Of the trait group that is chosen, where no value is.
    fn chosen_group(&self) -> Option<&'s Group<'a>> {
        let question = self.question;
        let chosen = question.trait_group.as_deref()?;
        let groups = self.slice.traits.iter();
        groups
            .filter(|_| question.trait_value.is_none())
            .find(|group| group.code == chosen)
    }

    pub(super) fn by_trait(&self) -> Option<Vec<TraitOfTest>> {
        let values = self.chosen_group()?.values.iter();
        let values = values.map(|value| TraitOfTest {
            value: value.code.to_owned(),
            arms: self.arms(&value.arms),
            comparisons: self.comparisons(&value.arms),
        });
        Some(values.collect())
    }

    /// Whether the effect of `arm` is one over a group's values.
    pub(in crate::domain::report) fn interaction(
        group: &Group,
        arm: usize,
    ) -> Result<stats::Interaction, Note> {
        let values = group.values.iter();
        let pairs: Vec<(Moments, Moments)> = values
            .map(|value| {
                let moments = |arm: usize| value.arms[arm].moments.clone();
                (moments(0), moments(arm))
            })
            .collect();
        stats::interaction(&pairs)
    }

    pub(super) fn trait_interaction(&self) -> Option<Vec<TraitInteraction>> {
        let group = self.chosen_group()?;
        let codes = |indices: &[usize]| -> Vec<String> {
            let values = indices.iter().filter_map(|index| group.values.get(*index));
            values.map(|value| value.code.to_owned()).collect()
        };
        let compared = self.question.compared().map(|arm| {
            let variation = self.question.arms[arm].code.clone();
            match Self::interaction(group, arm) {
                Ok(test) => TraitInteraction {
                    variation,
                    q: Some(test.q),
                    df: Some(test.df),
                    p: Some(test.p),
                    values: codes(&test.values),
                    left_out: codes(&test.left_out),
                    note: None,
                },
                Err(note) => TraitInteraction {
                    variation,
                    q: None,
                    df: None,
                    p: None,
                    values: Vec::new(),
                    left_out: codes(&(0..group.values.len()).collect::<Vec<_>>()),
                    note: Some(note.to_string()),
                },
            }
        });
        Some(compared.collect())
    }

    pub(super) fn post_stratified(&self) -> Option<Vec<PostStratified>> {
        let mut stratified = Vec::new();
        for arm in self.question.compared() {
            stratified.extend(self.day_by_day(arm));
            // Pooled over the days, traits would be as confounded as the whole.
            if let Some(group) = self.chosen_group().filter(|_| !self.is_drifting()) {
                let strata = group.values.iter().map(|value| value.arms.as_slice());
                stratified.push(self.stratify(Strata::Trait, arm, strata));
            }
        }
        (!stratified.is_empty()).then_some(stratified)
    }

    /// Each day compared with itself: the difference to go by where the shares moved over time.
    pub(in crate::domain::report) fn day_by_day(&self, arm: usize) -> Option<PostStratified> {
        let of_arms = self.day_by_day.get_or_init(|| {
            let mut of_arms = vec![None; self.question.arms.len()];
            let compared = self.question.compared();
            for arm in compared.filter(|_| self.is_drifting()) {
                let days = self.slice.days.iter().filter(|day| day.has_goal);
                let strata = days.map(|day: &DayOfSlice| day.arms.as_slice());
                of_arms[arm] = Some(self.stratify(Strata::Day, arm, strata));
            }
            of_arms
        });
        of_arms.get(arm).cloned().flatten()
    }

    fn stratify<'x>(
        &self,
        over: Strata,
        arm: usize,
        strata: impl Iterator<Item = &'x [Sums]>,
    ) -> PostStratified {
        let question = self.question;
        let strata: Vec<Stratum> = strata
            .map(|arms| Stratum {
                visitors: question.in_test().fold(0, |sum, (arm, _)| {
                    sum.saturating_add(arms[arm].moments.visitors())
                }),
                baseline: arms[0].moments.clone(),
                variation: arms[arm].moments.clone(),
            })
            .collect();
        let settings = &question.settings;
        let result = stats::post_stratify(&strata, settings.confidence, settings.family);
        let variation = question.arms[arm].code.clone();
        match result {
            Ok(found) => PostStratified {
                over,
                variation,
                difference: Some(found.difference),
                standard_error: Some(found.standard_error),
                interval: Some(found.interval),
                p: Some(found.p),
                adjusted_p: Some((found.p * f64::from(settings.family)).min(1.0)),
                share_dropped: Some(found.share_dropped),
                note: None,
            },
            Err(note) => PostStratified {
                over,
                variation,
                difference: None,
                standard_error: None,
                interval: None,
                p: None,
                adjusted_p: None,
                share_dropped: None,
                note: Some(note.to_string()),
            },
        }
    }
}
