//! Item planning: chunks and skip states to items, as spans of each row's token ids (method §5, §7).

use crate::error::{Error, Result};
use crate::interrupt;
use crate::parallel::map_blocks;
use crate::ragged::{Offsets, check_boundaries};
use crate::search::SplitMix64;

/// Stage code of the answer item.
pub const STAGE_ANSWER: i64 = 0;
/// Stage code of the skip item.
pub const STAGE_SKIP: i64 = -1;
/// Stage code of the one-pass item.
pub const STAGE_BASE: i64 = -2;
/// Stage code of the answer-only item.
pub const STAGE_ANSWER_ONLY: i64 = -3;

/// What a piece is made of: a span of the row's ids, or one marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum PieceKind {
    /// Span of the question's ids.
    Question = 0,
    /// Span of the rationale's ids.
    Rationale = 1,
    /// Span of the answer's ids.
    AnswerText = 2,
    /// Marker `[m]`; its span starts at m.
    Stage = 3,
    /// Marker `[answer]`.
    AnswerMark = 4,
    /// Marker `[skip]`.
    SkipMark = 5,
    /// Marker `[thought]`.
    Thought = 6,
    /// End token.
    End = 7,
}

/// Which items a row gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `[answer] q → a`.
    AnswerOnly,
    /// `q → r [answer] a`.
    Base,
    /// M stage items and the answer item.
    Chunkwise,
    /// `[skip] q → kept chunks … [answer] a`.
    Skip,
}

/// What stands for skipped chunks in a skip target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thought {
    /// One `[thought]` a skipped chunk.
    PerChunk,
    /// One `[thought]` a run of skipped chunks.
    Collapse,
    /// Nothing.
    None,
}

/// Options of a plan.
#[derive(Debug, Clone, Copy)]
pub struct PlanOptions {
    /// Which items.
    pub scheme: Scheme,
    /// Stand-in for skipped chunks.
    pub thought: Thought,
    /// Probability that an earlier chunk of a prompt is replaced by `[thought]`.
    pub chunk_dropout: f64,
    /// Seeds chunk dropout.
    pub seed: u64,
}

/// Lengths and chunks of a batch of rows.
#[derive(Debug, Clone, Copy)]
pub struct PlanRows<'a> {
    /// `(n, M + 1)`, row-major.
    pub boundaries: &'a [i64],
    /// Number of chunks M.
    pub m: usize,
    /// Ragged, K + 1 a row: token offsets of the steps within the rationale.
    pub step_tokens: (&'a [i64], Offsets<'a>),
    /// Tokens of the question, a row.
    pub n_question: &'a [i64],
    /// Tokens of the answer, a row.
    pub n_answer: &'a [i64],
    /// Skip states `(n, M)`, for `Scheme::Skip`.
    pub skipped: Option<&'a [bool]>,
}

/// Planned items.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// Row of each item.
    pub rows: Vec<i64>,
    /// Stage code of each item.
    pub stages: Vec<i64>,
    /// `(n_pieces, 3)`: kind, start, end.
    pub pieces: Vec<i64>,
    /// Pieces of each item: `n_items + 1` offsets.
    pub piece_offsets: Vec<i64>,
    /// Pieces of each item that make up its prompt.
    pub n_prompt_pieces: Vec<i64>,
    /// Tokens of each prompt, markers included.
    pub n_prompt_tokens: Vec<i64>,
    /// Tokens of each target, markers included.
    pub n_target_tokens: Vec<i64>,
}

/// Plans the items of all rows, row by row; within a row by stage, the answer item last.
///
/// # Errors
/// Lengths that disagree, boundaries that do not fit the steps, dropout outside [0, 1), skip data missing.
pub fn plan_items(rows: &PlanRows<'_>, options: &PlanOptions, threads: usize) -> Result<Plan> {
    check(rows, options)?;
    let n = rows.n_question.len();
    let blocks = map_blocks(n, threads, |range| {
        let mut plan = Plan::default();
        for row in range {
            interrupt::check(20 * rows.m)?;
            Planner { rows, options, row, plan: &mut plan }.plan_row();
        }
        Ok(plan)
    })?;
    let mut plan = Plan { piece_offsets: vec![0], ..Plan::default() };
    for block in blocks {
        let base = plan.pieces.len() as i64 / 3;
        plan.rows.extend(block.rows);
        plan.stages.extend(block.stages);
        plan.pieces.extend(block.pieces);
        plan.piece_offsets.extend(block.piece_offsets.iter().map(|end| base + end));
        plan.n_prompt_pieces.extend(block.n_prompt_pieces);
        plan.n_prompt_tokens.extend(block.n_prompt_tokens);
        plan.n_target_tokens.extend(block.n_target_tokens);
    }
    Ok(plan)
}

fn check(rows: &PlanRows<'_>, options: &PlanOptions) -> Result<()> {
    if rows.m == 0 {
        return Err(Error::Zero { name: "M" });
    }
    if !(0.0..1.0).contains(&options.chunk_dropout) {
        return Err(Error::ChunkDropout(options.chunk_dropout));
    }
    let n = rows.n_question.len();
    let (tokens, offsets) = rows.step_tokens;
    let lengths = [
        ("boundaries", rows.boundaries.len() / (rows.m + 1)),
        ("step_token_offsets", offsets.len()),
        ("n_answer_tokens", rows.n_answer.len()),
        ("skipped", rows.skipped.map_or(n, |skipped| skipped.len() / rows.m)),
    ];
    for (name, got) in lengths {
        if got != n {
            return Err(Error::Rows { name, got, expected: n });
        }
    }
    if options.scheme == Scheme::Skip && rows.skipped.is_none() {
        return Err(Error::NoSkipData);
    }
    for (name, lengths) in [("n_question_tokens", rows.n_question), ("n_answer_tokens", rows.n_answer)] {
        if let Some(row) = lengths.iter().position(|length| *length < 0) {
            return Err(Error::NegativeLength { name, row, got: lengths[row] });
        }
    }
    for row in 0..n {
        let cuts = &tokens[offsets.row(row)];
        if cuts.first() != Some(&0) || cuts.windows(2).any(|pair| pair[1] < pair[0]) {
            return Err(Error::StepTokens { row, got: cuts.to_vec() });
        }
    }
    check_boundaries("boundaries", rows.boundaries, rows.m, |row| offsets.row(row).len() - 1)
}

/// Plans one row.
struct Planner<'a> {
    rows: &'a PlanRows<'a>,
    options: &'a PlanOptions,
    row: usize,
    plan: &'a mut Plan,
}

impl Planner<'_> {
    fn plan_row(&mut self) {
        let m = self.rows.m;
        match self.options.scheme {
            Scheme::AnswerOnly => self.item(STAGE_ANSWER_ONLY, PieceKind::AnswerMark, 0, Self::answer),
            Scheme::Base => {
                let first = self.plan.pieces.len();
                self.question();
                let n_prompt = self.close_prompt(first);
                self.span(PieceKind::Rationale, 0, self.token(self.rows.boundaries[self.row * (m + 1) + m]));
                self.mark(PieceKind::AnswerMark, 0);
                self.answer();
                self.close_item(STAGE_BASE, first, n_prompt);
            }
            Scheme::Chunkwise => {
                for stage in 1..=m {
                    self.item(stage as i64, PieceKind::Stage, stage - 1, |planner| planner.chunk(stage));
                }
                self.item(STAGE_ANSWER, PieceKind::AnswerMark, m, Self::answer);
            }
            Scheme::Skip => self.item(STAGE_SKIP, PieceKind::SkipMark, 0, Self::skip_target),
        }
    }

    /// `marker question chunks 1 … n_earlier | target <end>`.
    fn item(&mut self, stage: i64, marker: PieceKind, n_earlier: usize, target: impl Fn(&mut Self)) {
        let first = self.plan.pieces.len();
        self.mark(marker, stage);
        self.question();
        for chunk in 1..=n_earlier {
            if self.is_dropped(stage, chunk) {
                self.mark(PieceKind::Thought, 0);
            } else {
                self.chunk(chunk);
            }
        }
        let n_prompt = self.close_prompt(first);
        target(self);
        self.close_item(stage, first, n_prompt);
    }

    fn close_prompt(&mut self, first: usize) -> usize {
        let n_tokens = tokens_of(&self.plan.pieces[first..]);
        self.plan.n_prompt_tokens.push(n_tokens);
        (self.plan.pieces.len() - first) / 3
    }

    fn close_item(&mut self, stage: i64, first: usize, n_prompt: usize) {
        self.mark(PieceKind::End, 0);
        self.plan.rows.push(self.row as i64);
        self.plan.stages.push(stage);
        self.plan.n_prompt_pieces.push(n_prompt as i64);
        self.plan.n_target_tokens.push(tokens_of(&self.plan.pieces[first + 3 * n_prompt..]));
        self.plan.piece_offsets.push(self.plan.pieces.len() as i64 / 3);
    }

    fn skip_target(&mut self) {
        let mut in_run = false;
        for chunk in 1..=self.rows.m {
            let skipped =
                self.rows.skipped.is_some_and(|skipped| skipped[self.row * self.rows.m + chunk - 1]);
            let (start, end) = self.chunk_tokens(chunk);
            if start == end {
                continue; // an empty chunk gives nothing, skipped or not
            }
            if !skipped {
                self.chunk(chunk);
            } else if self.options.thought == Thought::PerChunk
                || (self.options.thought == Thought::Collapse && !in_run)
            {
                self.mark(PieceKind::Thought, 0);
            }
            in_run = skipped;
        }
        self.mark(PieceKind::AnswerMark, 0);
        self.answer();
    }

    fn question(&mut self) {
        self.span(PieceKind::Question, 0, self.rows.n_question[self.row]);
    }

    fn answer(&mut self) {
        self.span(PieceKind::AnswerText, 0, self.rows.n_answer[self.row]);
    }

    fn chunk(&mut self, chunk: usize) {
        let (start, end) = self.chunk_tokens(chunk);
        self.span(PieceKind::Rationale, start, end);
    }

    fn span(&mut self, kind: PieceKind, start: i64, end: i64) {
        if start < end {
            self.plan.pieces.extend([kind as i64, start, end]);
        }
    }

    fn mark(&mut self, kind: PieceKind, stage: i64) {
        let start = if kind == PieceKind::Stage { stage } else { 0 };
        self.plan.pieces.extend([kind as i64, start, start + 1]);
    }

    fn token(&self, step: i64) -> i64 {
        let (tokens, offsets) = self.rows.step_tokens;
        tokens[offsets.row(self.row).start + step as usize]
    }

    fn chunk_tokens(&self, chunk: usize) -> (i64, i64) {
        let cuts = &self.rows.boundaries[self.row * (self.rows.m + 1)..];
        (self.token(cuts[chunk - 1]), self.token(cuts[chunk]))
    }

    /// Chunk dropout, drawn from (seed, row, stage, chunk) alone.
    fn is_dropped(&self, stage: i64, chunk: usize) -> bool {
        let (start, end) = self.chunk_tokens(chunk);
        if self.options.chunk_dropout <= 0.0 || start == end {
            return false;
        }
        let width = self.rows.m as u64 + 2;
        let stage = if stage > 0 { stage as u64 } else { self.rows.m as u64 + 1 };
        let place = (self.row as u64 * width + stage) * width + chunk as u64;
        let state = self.options.seed ^ place.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        SplitMix64(state).next_unit() < self.options.chunk_dropout
    }
}

fn tokens_of(pieces: &[i64]) -> i64 {
    pieces.chunks_exact(3).map(|piece| piece[2] - piece[1]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(scheme: Scheme, thought: Thought, skipped: Option<&[bool]>) -> Plan {
        let offsets = [0, 5];
        let rows = PlanRows {
            boundaries: &[0, 1, 1, 4],
            m: 3,
            step_tokens: (&[0, 3, 4, 6, 9], Offsets::new("step_token_offsets", &offsets[..], 5).unwrap()),
            n_question: &[7],
            n_answer: &[2],
            skipped,
        };
        plan_items(&rows, &PlanOptions { scheme, thought, chunk_dropout: 0.0, seed: 0 }, 1).unwrap()
    }

    #[test]
    fn chunkwise_items() {
        let plan = planned(Scheme::Chunkwise, Thought::PerChunk, None);
        assert_eq!(plan.stages, [1, 2, 3, 0]);
        assert_eq!(plan.n_prompt_tokens, [8, 11, 11, 17]);
        assert_eq!(plan.n_target_tokens, [4, 1, 7, 3]);
        assert_eq!(plan.pieces[..12], [3, 1, 2, 0, 0, 7, 1, 0, 3, 7, 0, 1]);
        assert_eq!(plan.piece_offsets, [0, 4, 8, 13, 19]);
    }

    #[test]
    fn skip_targets() {
        let skipped = [true, false, true];
        for (thought, n_target) in [(Thought::PerChunk, 6), (Thought::Collapse, 5), (Thought::None, 4)] {
            let plan = planned(Scheme::Skip, thought, Some(&skipped));
            assert_eq!(plan.n_target_tokens, [n_target]);
        }
    }

    #[test]
    fn one_pass_items() {
        let base = planned(Scheme::Base, Thought::PerChunk, None);
        assert_eq!((base.n_prompt_tokens[0], base.n_target_tokens[0]), (7, 9 + 1 + 2 + 1));
        let answer_only = planned(Scheme::AnswerOnly, Thought::PerChunk, None);
        assert_eq!((answer_only.n_prompt_tokens[0], answer_only.n_target_tokens[0]), (8, 3));
    }
}
