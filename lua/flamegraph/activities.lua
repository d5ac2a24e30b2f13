-- fg.activities: what programs of any language spend time on, told by the names of frames. A stack counts for an
-- activity when one of its frames matches; it may count for several. A recipe or a config file can add rows:
--
--   table.insert(fg.activities, { name = "rendering templates", patterns = { "^jinja2\\." } })
--
-- The patterns are PCRE2 and may match anywhere in a name: what is common in other names has to be anchored.

return {
  { name = "hashing", patterns = {
    [[(?i)(?<![a-z])(?:md5|sha_?(?:1|224|256|384|512)|sha[23]|blake[23]\w?)(?![a-z])]],
    [[(?i)(?<![a-z])(?:siphash|xxh(?:ash|3|64|32)|murmur\w*|crc32\w*)(?![a-z])]],
    [[(?i)\bhashing\b]],
    [[Hash(?:er|map)?::(?:finish|hash|write)\b]],
    [[(?i)(?:^|[._:])hash(?:lib|_update|_bytes|_one)?\b]],
  } },
  { name = "encryption and TLS", patterns = {
    [[(?i)(?<![a-z])(?:aes(?:ni)?|chacha20|poly1305|gcm_\w*|rsa|ecdsa|ecdh|x25519|ed25519)(?![a-z])]],
    [[(?i)\b(?:ssl_(?:read|write|do_handshake)|rustls|tls13?_\w+|evp_\w*crypt\w*)\b]],
    [[^crypto/(?:tls|aes|cipher|rsa)]],
  } },
  { name = "compression", patterns = {
    [[(?i)(?<![a-z])(?:(?:de|in)flate|gzip|gunzip|zlib|zstd|brotli|lz4|lzma|snappy)]],
    [[^compress/]],
  } },
  { name = "regular expressions", patterns = {
    [[(?i)\bregexp?(?:p|es)?\b]],
    [[(?i)(?:^|[^a-z])(?:pcre2?_\w+|re2::|sre_\w+|irregexp\w*|onig_\w+)]],
    [[^RegExp(?::|\.)]],
    [[(?:^|[._:])regex_automata::]],
  } },
  { name = "allocation", patterns = {
    [[(?i)(?:^|[^a-z])(?:(?:_?rjem_|je_|tc_|mi_|__libc_|_int_)?(?:malloc|calloc|realloc|memalign|free)(?:_\w+)?)$]],
    [[^operator (?:new|delete)]],
    [[\balloc::alloc::]],
    [[__rust_(?:alloc|dealloc|realloc)]],
    [[^runtime\.(?:mallocgc|newobject|makeslice|growslice)]],
    [[(?:^|::)(?:GlobalAlloc|RawVec)\b]],
    [[^(?:_?PyObject_(?:Malloc|Free|Realloc)|_PyObject_GC_New\w*)]],
    [[^JIT_New]],
  } },
  { name = "garbage collection", patterns = {
    [[^\(garbage collector\)$]],
    [[(?i)(?:^|[^a-z])gc_(?:collect|main|mark|sweep)\w*]],
    [[^gcBgMarkWorker|^runtime\.(?:gc[A-Z]\w*|scanobject|sweepone|greyobject|markroot)]],
    [[v8::internal::(?:Heap::|Mark|Scaveng|Sweep)]],
    [[(?:^|[.:])(?:GarbageCollect|SVR::gc_heap|WKS::gc_heap)]],
    [[G1\w*(?:Collect|Mark|Evac)\w*]],
    [[JSC::(?:Heap::|SlotVisitor|MarkedBlock)]],
  } },
  { name = "locks and waiting", patterns = {
    [[(?i)(?:^|[^a-z])(?:__lll_lock_wait|futex|sem_wait)]],
    [[pthread_(?:mutex|rwlock|spin)_\w*lock|pthread_cond_\w*wait]],
    [[(?i)(?:^|[^a-z])(?:mutex|rwlock|spin_?lock|semaphore|monitor)[^a-z]?(?:::|\.)?(?:lock|acquire|enter|wait)\w*]],
    [[^native_queued_spin_lock_slowpath$]],
    [[\bparking_lot::]],
    [[^sync\.\(\*(?:RW)?Mutex\)]],
    [[(?:^|\.)take_gil$]],
  } },
  { name = "serialisation", patterns = {
    [[(?i)(?:^|[^a-z])(?:json|serde\w*|msgpack|protobuf|protoc?|pickle|yaml|cbor|bson|avro|thrift|marshal)(?![a-z])]],
    [[(?:^|\.)JSON\.?(?:parse|stringify)]],
    [[(?:de)?serializ(?:e|ation)\w*|(?:un)?marshal\w*]],
    [[^encoding/(?:json|xml|gob)]],
  } },
  { name = "sorting", patterns = {
    [[(?i)(?:^|[^a-z])(?:quick|merge|tim|heap|insertion|intro|pdq)_?sort\w*$]],
    [[(?i)(?:^|[^a-z])(?:qsort\w*|sort(?:ed|ing|_by\w*|_unstable\w*)?)$]],
    [[(?:core|alloc)::slice::(?:sort|merge_sort)]],
    [[^sort\.]],
    [[std::__?(?:intro)?sort]],
  } },
  { name = "copying memory", patterns = {
    [[(?:^|[^a-z])__?mem(?:cpy|move|set)\w*|^mem(?:cpy|move|set)\b]],
    [[^runtime\.memmove$]],
    [[^rep_movs_alternative$|^copy_user_\w+]],
  } },
  { name = "system calls", patterns = {
    [[^(?:entry_SYSCALL_64\w*|do_syscall_64|x64_sys_call|el0_svc\w*|invoke_syscall)]],
    [[^__(?:x64|arm64|se|do)_sys_\w+]],
    [[^syscall\.(?:Raw)?Syscall6?$|^internal/runtime/syscall\.]],
  } },
  { name = "page faults", patterns = {
    [[^(?:asm_)?exc_page_fault$|^do_user_addr_fault$|^handle_mm_fault$|^clear_page_\w+]],
  } },
  { name = "network", patterns = {
    [[^(?:tcp|udp|ip|ip6|inet6?|sock|skb|net)_\w+]],
    [[^__(?:napi|netif|tcp|dev)_\w+]],
    [[^net/http\.]],
  } },
  { name = "loading and compiling code", patterns = {
    [[(?i)(?:^|[^a-z])(?:jit_?compile\w*|compile_?function\w*|dlopen\w*|_dl_\w+|importlib\w*|_find_and_load\w*)]],
    [[v8::internal::(?:Compiler|compiler|baseline|interpreter::Interpreter\w*Compil)]],
    [[^\(program\)$]],
    [[^(?:Module\._compile|wrapSafe|compileFunction)]],
  } },
  { name = "logging and formatting", patterns = {
    [[(?i)(?:^|[^a-z])(?:v?s?n?printf\w*|format_args|log(?:ger|ging)|slog|tracing_subscriber)(?![a-z])]],
    [[(?:^|\.)console\.(?:log|error|warn)]],
    [[(?:core|alloc)::fmt::]],
    [[^fmt\.\(?\*?]],
  } },
}
