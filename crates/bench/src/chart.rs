//! Bars as SVG, readable on light and on dark.

use std::fmt::Write;

use crate::report::{Group, Metric, System, digits};

const WIDTH: f64 = 860.0;
const LABEL_WIDTH: f64 = 330.0;
const VALUE_WIDTH: f64 = 110.0;
const BAR_HEIGHT: f64 = 22.0;
const BAR_STEP: f64 = 34.0;
const TOP: f64 = 62.0;
/// From this ratio of the longest to the shortest on, the scale is logarithmic.
const LOG_FROM: f64 = 40.0;

/// Where values lie on the axis.
#[derive(Clone, Copy)]
struct Scale {
    from: f64,
    to: f64,
    log: bool,
}

impl Scale {
    fn new(values: &[f64]) -> Self {
        let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let least = values.iter().copied().fold(most, f64::min).max(most / 1e9);
        if most / least < LOG_FROM {
            return Self { from: 0.0, to: most, log: false };
        }
        // From the power of ten below the least, so that the shortest bar can still be seen.
        Self { from: 10_f64.powf((least / 2.0).log10().floor()), to: most, log: true }
    }

    fn x(self, value: f64) -> f64 {
        let part = if self.log {
            (value.max(self.from) / self.from).log10() / (self.to / self.from).log10()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        LABEL_WIDTH + part.clamp(0.0, 1.0) * (WIDTH - LABEL_WIDTH - VALUE_WIDTH)
    }
}

/// A bar for the median of each entry, with a line from its least to its greatest.
pub(crate) fn svg(group: &Group) -> String {
    let shown: Vec<_> = group
        .entries
        .iter()
        .map(|entry| (entry, group.spread(entry)))
        .filter(|(_, spread)| spread.median.is_finite() && spread.median > 0.0)
        .collect();
    let values: Vec<f64> = shown.iter().flat_map(|(_, spread)| [spread.least, spread.most]).collect();
    let scale = Scale::new(&values);

    let height = shown.iter().fold(TOP + 16.0, |height, _| height + BAR_STEP);
    let better = match group.metric {
        Metric::PerSecond => "longer is better",
        Metric::Milliseconds | Metric::Seconds => "shorter is better",
    };
    let kind = if scale.log { "logarithmic" } else { "linear" };
    let unit = group.metric.unit();
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">
<style>
text {{ font: 13px system-ui, sans-serif; fill: #1f2328 }}
.title {{ font-size: 16px; font-weight: 600 }}
.note {{ fill: #59636e }}
.jaego {{ fill: #0b7a5c }}
.redis {{ fill: #b5483a }}
.postgresql {{ fill: #47699c }}
.spread {{ stroke: #1f2328; stroke-width: 1.5 }}
.axis {{ stroke: #8b949e }}
@media (prefers-color-scheme: dark) {{
  text {{ fill: #e6edf3 }}
  .note {{ fill: #9198a1 }}
  .jaego {{ fill: #2fb98f }}
  .redis {{ fill: #e07a6a }}
  .postgresql {{ fill: #7fa3dc }}
  .spread {{ stroke: #e6edf3 }}
}}
</style>
<text class="title" x="8" y="24">{title}</text>
<text class="note" x="8" y="44">{unit}, median and range of the repetitions; {kind} scale{start}; {better}</text>
"##,
        title = escaped(&group.title),
        start = if scale.log { format!(" from {}", digits(scale.from)) } else { String::new() },
    );
    let mut y = TOP;
    for (entry, spread) in shown {
        let class = match entry.system {
            System::Jaego => "jaego",
            System::Redis => "redis",
            System::Postgresql => "postgresql",
        };
        let (least, median, most) = (scale.x(spread.least), scale.x(spread.median), scale.x(spread.most));
        let (middle, text_y) = (y + BAR_HEIGHT / 2.0, y + BAR_HEIGHT / 2.0 + 4.5);
        writeln!(
            svg,
            r#"<text x="{:.1}" y="{text_y:.1}" text-anchor="end">{}</text>
<rect class="{class}" x="{LABEL_WIDTH}" y="{y:.1}" width="{:.1}" height="{BAR_HEIGHT}" rx="2"/>
<line class="spread" x1="{least:.1}" y1="{middle:.1}" x2="{most:.1}" y2="{middle:.1}"/>
<text x="{:.1}" y="{text_y:.1}">{}</text>"#,
            LABEL_WIDTH - 8.0,
            escaped(&entry.name),
            (median - LABEL_WIDTH).max(1.0),
            most.max(median) + 8.0,
            digits(spread.median),
        )
        .expect("writing to a string cannot fail");
        y += BAR_STEP;
    }
    writeln!(svg, r#"<line class="axis" x1="{LABEL_WIDTH}" y1="{TOP}" x2="{LABEL_WIDTH}" y2="{y:.1}"/>"#)
        .expect("writing to a string cannot fail");
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{entry, group};

    #[test]
    fn bars_say_what_they_are() {
        let mut group = group(Metric::PerSecond);
        group.title = "Holds & <more>".to_owned();
        let svg = svg(&group);
        assert!(svg.contains("Holds &amp; &lt;more&gt;"), "{svg}");
        assert!(
            svg.contains("units/s") && svg.contains("linear scale") && svg.contains("longer is better"),
            "{svg}"
        );
        assert!(svg.contains(">50,000</text>") && svg.contains(">25,000</text>"), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 2);
    }

    #[test]
    fn far_values_get_a_logarithmic_scale() {
        let mut group = group(Metric::Seconds);
        group.entries.push(entry("slow", System::Postgresql, &[0.1]));
        let svg = svg(&group);
        assert!(svg.contains("logarithmic scale") && svg.contains("shorter is better"), "{svg}");
    }

    #[test]
    fn a_bar_is_as_long_as_its_value() {
        let linear = Scale::new(&[10.0, 100.0]);
        let width = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
        assert_eq!(linear.x(0.0), LABEL_WIDTH);
        assert!((linear.x(50.0) - LABEL_WIDTH - width / 2.0).abs() < 1e-9);
        let log = Scale::new(&[1.0, 1000.0]);
        assert_eq!((log.from, log.x(1000.0)), (0.1, LABEL_WIDTH + width));
    }
}
