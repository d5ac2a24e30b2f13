local markdown = require "flamegraph.markdown"

describe("text in Markdown", function()
  it("is plain, whatever it says", function()
    assert.equal("\\_\\_init\\_\\_ \\[a\\](b) &lt;i&gt; \\*x\\* a\\|b \\`c\\` \\\\ &amp;amp;",
      markdown.plain "__init__ [a](b) <i> *x* a|b `c` \\ &amp;")
    assert.equal("one line", markdown.plain "one\nline")
  end)

  it("is a span that nothing in it ends", function()
    assert.equal("`a|b`", markdown.span "a|b")
    assert.equal("`a\\|b`", markdown.span("a|b", true))
    assert.equal("``a`b``", markdown.span "a`b")
    assert.equal("`` `a` ``", markdown.span "`a`")
    assert.equal("``` a``b` ```", markdown.span "a``b`")
    assert.equal("`a b`", markdown.span "a\nb")
  end)

  it("is a block that nothing in it ends", function()
    assert.equal("````\na ``` b\n````", markdown.fence "a ``` b")
  end)
end)
