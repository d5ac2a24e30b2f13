-- fg.summarize: rankings, paths, and which kind of work a name is taken for.

local fg = require "flamegraph"

-- activity → names that are of it
local known = {
  ["hashing"] = {
    "sha256_update", "SHA1_Final", "md5", "blake3::hash", "xxh64", "core::hash::Hasher::write", "hashlib",
  },
  ["encryption and TLS"] = { "aes_gcm_encrypt", "SSL_read", "rustls::conn::process", "crypto/tls.(*Conn).Read" },
  ["compression"] = { "deflate_fast", "ZSTD_compressBlock", "compress/flate.(*compressor).deflate" },
  ["regular expressions"] = {
    "pcre2_match", "regex_automata::dfa::find", "RegExp: ^a+$", "re2::DFA::Search", "regexp.(*Regexp)",
  },
  ["allocation"] = {
    "malloc", "_int_malloc", "operator new(unsigned long)", "__rust_alloc", "runtime.mallocgc", "cfree_free",
  },
  ["garbage collection"] = {
    "(garbage collector)", "gc_collect_main", "runtime.gcDrain", "v8::internal::Scavenger::Run",
  },
  ["locks and waiting"] = {
    "futex_wait", "pthread_mutex_lock", "std::sys::Mutex::lock", "take_gil", "sync.(*Mutex).Lock",
  },
  ["serialisation"] = { "serde_json::de::parse", "JSON.parse", "json.dumps", "encoding/json.Marshal", "pickle_load" },
  ["sorting"] = { "quicksort", "std::__introsort_loop", "sort.Slice", "qsort_r", "sorted" },
  ["copying memory"] = { "__memcpy_avx_unaligned_erms", "memmove", "runtime.memmove" },
  ["system calls"] = { "entry_SYSCALL_64_after_hwframe", "do_syscall_64", "__x64_sys_read" },
}
local strangers = { "main", "fibonacci", "handle_request", "matrix_multiply", "freeze", "jsonder", "resort", "shasta",
  "login", "catalog", "HashMapIsNotHere", "glockenspiel" }

local function recognised(name)
  local p = fg.profile()
  p:add({ "main", name }, 10)
  local found = {}
  for _, row in ipairs(assert(fg.summarize(p)).activities) do found[row.name] = row end
  return found
end

describe("fg.summarize", function()
  for activity, names in pairs(known) do
    it("recognises " .. activity, function()
      for _, name in ipairs(names) do
        local row = recognised(name)[activity]
        assert(row, ("'%s' is not taken for %s"):format(name, activity))
        assert.equal(name, row.frame)
      end
    end)
  end

  it("leaves other names alone", function()
    for _, name in ipairs(strangers) do
      local row = next(recognised(name))
      assert(not row, ("'%s' is taken for %s"):format(name, tostring(row)))
    end
  end)

  it("counts a stack once, and recursion as one path", function()
    local p = fg.profile()
    p:add({ "main", "fib" }, 1)
    p:add({ "main", "fib", "fib", "fib" }, 2)
    p:add({ "main", "malloc", "_int_malloc" }, 1)
    local s = assert(fg.summarize(p))
    assert.same({ name = "fib", value = 3, share = 0.75 }, s.self[1])
    assert.same({ "main", "fib (recursive)" }, s.paths[1].frames)
    assert.equal(3, s.paths[1].value)
    assert.equal(0.25, s.activities[1].share)
  end)

  it("takes rows of one's own", function()
    table.insert(fg.activities, { name = "baking", patterns = { "^bake" } })
    assert.equal(1.0, recognised("bake_bread")["baking"].share)
    table.remove(fg.activities)
  end)

  it("is of one profile with something in it", function()
    local p = fg.profile()
    local s, message, code = fg.summarize(p)
    assert.is_nil(s)
    assert.equal("nothing in this profile is of type samples", message)
    assert.equal("EMPTY", code)
    p:add({ "a" }, 1)
    assert.is_nil((fg.summarize(assert(fg.diff(p, p)))))
    assert.error_matches(function() fg.summarize(1) end, "takes a profile, not a number")
  end)
end)
