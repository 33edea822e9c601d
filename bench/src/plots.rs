//! The figures as plots, SVG.
//!
//! On a white ground of their own, for a page may be dark; who is who shows by colour, marker and dashes.

mod axis;

use std::fs;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use crate::contender::Contender;
use crate::drain::Row;
use crate::fleet::Run;
use crate::report::Results;
use crate::scaling::{Growth, Point};
use axis::Axis;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

const WIDTH: u32 = 960;
const HEIGHT: u32 = 400;
const LEFT: i32 = 16;
const FONT: &str = "sans-serif";
const GREY: RGBColor = RGBColor(90, 90, 90);

/// Writes those whose figures are there.
pub(crate) fn write(results: &Results, dir: &Path) -> Vec<PathBuf> {
    let plots = [
        ("drain", (!results.drain.rows.is_empty()).then(|| drain(results))),
        ("rate", growth(results, Growth::Rate, [CPU, P99])),
        ("instances", growth(results, Growth::Instances, [CPU, RSS])),
        ("body", growth(results, Growth::Body, [Figure { log: true, ..CPU }, DRAINED])),
    ];
    let mut written = Vec::new();
    for (name, plot) in plots {
        let Some(plot) = plot else { continue };
        let file = dir.join(format!("bench-{name}.svg"));
        fs::write(&file, plot.svg()).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        written.push(file);
    }
    written
}

/// A figure of a run.
struct Figure {
    label: &'static str,
    of: fn(&Run) -> f64,
    log: bool,
}

const CPU: Figure = Figure { label: "CPU of an event, µs", of: |run| run.cpu_us_per_event, log: false };
const P99: Figure = Figure { label: "queue to Kafka, p99, ms", of: |run| run.queue_to_kafka_ms.p99, log: false };
const RSS: Figure = Figure { label: "resident memory, MiB", of: |run| run.rss_kib as f64 / 1024.0, log: false };
const DRAINED: Figure = Figure { label: "backlog drained, events/s", of: |run| run.events_per_second, log: true };

fn growth(results: &Results, growth: Growth, figures: [Figure; 2]) -> Option<Plot> {
    let points: Vec<&Point> = results.scaling.iter().filter(|point| point.growth == growth).collect();
    let mut sizes: Vec<f64> = points.iter().map(|point| point.size as f64).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    (sizes.len() > 1).then(|| {
        let panel = |figure: Figure| {
            let of = |contender: Contender| {
                let own = points.iter().filter(|point| point.contender == contender.slug());
                Series {
                    style: Style::of(contender),
                    points: own.map(|point| (point.size as f64, (figure.of)(&point.run))).collect(),
                }
            };
            Panel::new(Axis::log_at(growth.what(), &sizes), (figure.label, figure.log), Contender::RUST.map(of).into())
        };
        Plot { title: growth.title(), panels: figures.map(panel).into() }
    })
}

fn drain(results: &Results) -> Plot {
    let rows = &results.drain.rows;
    let panel = |label: &str, log: bool, of: &dyn Fn(&Row, f64) -> f64| {
        let line = |style: Style, rate: &dyn Fn(&Row) -> Option<f64>| Series {
            style,
            points: rows.iter().enumerate().filter_map(|(at, row)| Some((at as f64, of(row, rate(row)?)))).collect(),
        };
        let mut series = vec![line(Style::LIMIT, &|row| Some(row.limit))];
        series.extend(
            Contender::DRAIN
                .map(|contender| line(Style::of(contender), &|row| row.contenders.get(contender.slug()).copied())),
        );
        let steps = rows.iter().map(|row| row.round_trip_ms.to_string()).collect();
        Panel::new(Axis::steps("round trip, ms", steps), (label, log), series)
    };
    Plot {
        title: "One instance's backlog; the limit is 1/(receive + ack + delete)".to_owned(),
        panels: vec![
            panel("events/s", true, &|_, rate| rate),
            panel("of the limit", false, &|row, rate| rate / row.limit),
        ],
    }
}

#[derive(Clone, Copy)]
enum Marker {
    Disc,
    Ring,
    Triangle,
    Square,
    Cross,
    None,
}

#[derive(Clone, Copy)]
struct Style {
    name: &'static str,
    /// Of Okabe and Ito's, which the colour-blind can tell apart.
    colour: RGBColor,
    marker: Marker,
    dashed: bool,
}

impl Style {
    const LIMIT: Self = Self { name: "limit", colour: BLACK, marker: Marker::None, dashed: true };

    fn of(contender: Contender) -> Self {
        let (colour, marker, dashed) = match contender {
            Contender::Chatbridge | Contender::Patient => (RGBColor(0, 114, 178), Marker::Disc, false),
            Contender::Overlapped => (RGBColor(86, 180, 233), Marker::Ring, true),
            Contender::Minimal => (RGBColor(213, 94, 0), Marker::Triangle, true),
            Contender::Python => (RGBColor(0, 158, 115), Marker::Square, false),
            Contender::Camel => (RGBColor(204, 121, 167), Marker::Cross, false),
        };
        Self { name: contender.name(), colour, marker, dashed }
    }

    /// From one of these pixels to the next.
    fn line(&self, on: &Area<'_>, pixels: Vec<(i32, i32)>) -> Drawn {
        let stroke = self.colour.stroke_width(2);
        if self.dashed {
            on.draw(&DashedPathElement::new(pixels, 6, 4, stroke))
        } else {
            on.draw(&PathElement::new(pixels, stroke))
        }
    }

    fn mark(&self, on: &Area<'_>, at: (i32, i32)) -> Drawn {
        let (filled, stroke) = (self.colour.filled(), self.colour.stroke_width(2));
        match self.marker {
            Marker::Disc => on.draw(&Circle::new(at, 4, filled)),
            Marker::Ring => {
                on.draw(&Circle::new(at, 5, WHITE.filled()))?;
                on.draw(&Circle::new(at, 5, stroke))
            }
            Marker::Triangle => on.draw(&TriangleMarker::new(at, 6, filled)),
            Marker::Square => on.draw(&Rectangle::new([(at.0 - 4, at.1 - 4), (at.0 + 4, at.1 + 4)], filled)),
            Marker::Cross => on.draw(&Cross::new(at, 4, stroke)),
            Marker::None => Ok(()),
        }
    }
}

struct Series {
    style: Style,
    /// As measured.
    points: Vec<(f64, f64)>,
}

struct Panel {
    x: Axis,
    y: Axis,
    series: Vec<Series>,
}

impl Panel {
    fn new(x: Axis, (label, log): (&str, bool), series: Vec<Series>) -> Self {
        let values: Vec<f64> = series.iter().flat_map(|series| series.points.iter().map(|point| point.1)).collect();
        let y = if log { Axis::log(label, &values) } else { Axis::linear(label, &values) };
        Self { x, y, series }
    }

    /// Into `area` of `root`.
    fn draw(&self, root: &Area<'_>, area: &Area<'_>) -> Drawn {
        let Self { x, y, series } = self;
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(20)
            .x_label_area_size(48)
            .y_label_area_size(64)
            .build_cartesian_2d(x.clone(), y.clone())?;
        chart
            .configure_mesh()
            .x_desc(&x.label)
            .y_desc(&y.label)
            .bold_line_style(RGBColor(225, 225, 225))
            .light_line_style(TRANSPARENT)
            .axis_style(GREY)
            .label_style((FONT, 16).into_font().color(&BLACK))
            .axis_desc_style((FONT, 17).into_font().color(&BLACK))
            .draw()?;
        for Series { style, points } in series {
            let pixels: Vec<_> = points.iter().map(|point| chart.backend_coord(point)).collect();
            style.line(root, pixels.clone())?;
            for pixel in pixels {
                style.mark(root, pixel)?;
            }
        }
        Ok(())
    }
}

struct Plot {
    title: String,
    panels: Vec<Panel>,
}

impl Plot {
    fn svg(&self) -> String {
        let mut svg = String::new();
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        self.draw(&root).and_then(|()| root.present()).expect("a plot can be drawn into memory");
        drop(root);
        svg
    }

    fn draw(&self, root: &Area<'_>) -> Drawn {
        root.fill(&WHITE)?;
        root.draw(&Text::new(self.title.clone(), (LEFT, 12), (FONT, 21).into_font().color(&BLACK)))?;
        let (mut left, mut top) = (LEFT, 52);
        for Series { style, .. } in self.panels.first().map_or(&[][..], |panel| panel.series.as_slice()) {
            // No font is looked at; 7 px a letter is about what one takes.
            let width = 38 + 7 * style.name.len() as i32 + 16;
            if left + width > WIDTH as i32 {
                (left, top) = (LEFT, top + 22);
            }
            style.line(root, vec![(left, top), (left + 32, top)])?;
            style.mark(root, (left + 16, top))?;
            root.draw(&Text::new(style.name, (left + 38, top - 8), (FONT, 16).into_font().color(&BLACK)))?;
            left += width;
        }
        let (_, body) = root.split_vertically(top + 14);
        for (panel, area) in self.panels.iter().zip(body.split_evenly((1, self.panels.len()))) {
            panel.draw(root, &area)?;
        }
        Ok(())
    }
}
