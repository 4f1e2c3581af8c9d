//! Reads a source file of the crate as what matters to its place in it: the module that it is, and
//! every path that it names, as absolute as it can be made.
//!
//! Paths are collected from `use` trees, from expressions, types and patterns, and from the tokens
//! of macros and attributes, so that `crate::a::b` counts wherever it stands.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A source file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Where it is, below the root of the repository: `src/domain/id.rs`.
    pub(crate) file: String,
    /// The module that it is: `["domain", "id"]`; `["lib"]` and `["main"]` for the roots.
    pub(crate) module: Vec<String>,
    pub(crate) names: Vec<Name>,
    /// Words that stand anywhere in it, keywords too; not those of comments and strings.
    pub(crate) words: Vec<(String, usize)>,
    /// The modules that it declares: absolute, and whether for tests alone.
    pub(crate) declares: BTreeSet<(Vec<String>, bool)>,
    /// Lines in all.
    pub(crate) lines: usize,
    /// Lines that belong to tests.
    pub(crate) test_lines: usize,
}

/// A path that a file names.
#[derive(Debug)]
pub(crate) struct Name {
    /// Its segments: `["crate", "domain", "decide"]`, `["std", "fs"]`. A glob ends in `*`.
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    /// Whether it stands in code that is compiled for tests alone.
    pub(crate) in_test: bool,
    /// Whether it is imported under another name.
    pub(crate) renamed: bool,
}

impl Source {
    pub(crate) fn parse(file: &str, text: &str) -> Self {
        let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let module = module_of(file);
        let root = ["lib", "main"].contains(&module[0].as_str());
        let mut reader = Reader {
            stack: if root { Vec::new() } else { module.clone() },
            declares: BTreeSet::new(),
            names: Vec::new(),
            words: Vec::new(),
            tests: 0,
            test_lines: 0,
        };
        // Children first: a path that starts with one is relative.
        reader.declare(&syntax.items);
        reader.visit_file(&syntax);
        reader.collect_words(text.parse().unwrap_or_default());
        Self {
            file: file.to_owned(),
            module,
            names: reader.names,
            words: reader.words,
            declares: reader.declares,
            lines: text.lines().count(),
            test_lines: reader.test_lines,
        }
    }
}

/// `src/domain/mod.rs` is `domain`, `src/domain/id.rs` is `domain::id`.
fn module_of(file: &str) -> Vec<String> {
    let inside = file.strip_prefix("src/").unwrap_or(file);
    let inside = inside.strip_suffix(".rs").unwrap_or(inside);
    let inside = inside.strip_suffix("/mod").unwrap_or(inside);
    inside.split('/').map(str::to_owned).collect()
}

struct Reader {
    /// The module that is being read.
    stack: Vec<String>,
    declares: BTreeSet<(Vec<String>, bool)>,
    names: Vec<Name>,
    words: Vec<(String, usize)>,
    /// How many test-only items the reader is inside of.
    tests: usize,
    test_lines: usize,
}

impl Reader {
    fn declare(&mut self, items: &[syn::Item]) {
        for item in items {
            if let syn::Item::Mod(module) = item {
                self.stack.push(module.ident.to_string());
                let test = is_test(&module.attrs);
                self.declares.insert((self.stack.clone(), test));
                if let Some((_, items)) = &module.content {
                    self.declare(items);
                }
                self.stack.pop();
            }
        }
    }

    fn name(&mut self, segments: &[String], line: usize, renamed: bool) {
        if let Some(path) = self.absolute(segments) {
            self.names.push(Name {
                path,
                line,
                in_test: self.tests > 0,
                renamed,
            });
        }
    }

    fn absolute(&self, segments: &[String]) -> Option<Vec<String>> {
        let (first, mut rest) = segments.split_first()?;
        let mut base = self.stack.clone();
        base.push(first.clone());
        let is_child = |test| self.declares.contains(&(base.clone(), test));
        if !is_child(false) && !is_child(true) {
            base.pop();
            match first.as_str() {
                "crate" | "portcullis" => base.clear(),
                "self" => {}
                "super" => {
                    base.pop();
                    while let Some(("super", after)) = rest
                        .split_first()
                        .map(|(next, after)| (next.as_str(), after))
                    {
                        base.pop();
                        rest = after;
                    }
                }
                _ => return Some(segments.to_vec()),
            }
        }
        let path = std::iter::once("crate".to_owned()).chain(base);
        Some(path.chain(rest.iter().cloned()).collect())
    }

    fn use_tree(&mut self, tree: &syn::UseTree, above: &[String]) {
        let line = tree.span().start().line;
        let joined = |last: &dyn ToString| {
            let last = std::iter::once(last.to_string());
            above.iter().cloned().chain(last).collect::<Vec<_>>()
        };
        match tree {
            syn::UseTree::Path(path) => self.use_tree(&path.tree, &joined(&path.ident)),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(tree, above);
                }
            }
            // `a::{self}` is `a`.
            syn::UseTree::Name(name) if name.ident == "self" && !above.is_empty() => {
                self.name(above, line, false);
            }
            syn::UseTree::Name(name) => self.name(&joined(&name.ident), line, false),
            syn::UseTree::Rename(name) if name.ident == "self" && !above.is_empty() => {
                self.name(above, line, true);
            }
            syn::UseTree::Rename(name) => self.name(&joined(&name.ident), line, true),
            syn::UseTree::Glob(_) => self.name(&joined(&'*'), line, false),
        }
    }

    /// Paths in tokens that no grammar is known for: the insides of macros and attributes.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end_path(&mut path, line);
                    }
                    line = ident.span().start().line;
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.end_path(&mut path, line);
                    colons = 0;
                    self.scan(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.end_path(&mut path, line);
                    colons = 0;
                }
            }
        }
        self.end_path(&mut path, line);
    }

    fn end_path(&mut self, path: &mut Vec<String>, line: usize) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.name(&path, line, false);
        }
    }

    fn collect_words(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    let line = ident.span().start().line;
                    self.words.push((ident.to_string(), line));
                }
                TokenTree::Group(group) => self.collect_words(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let test = is_test(attributes(item));
        if test && self.tests == 0 {
            let span = item.span();
            self.test_lines += span.end().line - span.start().line + 1;
        }
        self.tests += usize::from(test);
        visit::visit_item(self, item);
        self.tests -= usize::from(test);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.stack.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.stack.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        let segments: Vec<String> = segments.map(|segment| segment.ident.to_string()).collect();
        // A word alone is what some `use` brought in, or a local name.
        if segments.len() > 1 {
            self.name(&segments, path.span().start().line, false);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.scan(item.tokens.clone());
        visit::visit_macro(self, item);
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        self.scan(list.tokens.clone());
        visit::visit_meta_list(self, list);
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|condition| condition.is_ident("test"))
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is open: it cannot be matched whole"
)]
fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
