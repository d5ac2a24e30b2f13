/* ELF files: sections, build ids, and one pass over each table of symbols. */
#include <gelf.h>
#include <sys/mman.h>
#include "symbols/module.h"

/* ---- files --------------------------------------------------------------------------------------------- */

static bool begin(fg__elf *out) {
    elf_version(EV_CURRENT);
    out->elf = elf_memory(out->bytes, out->size);
    return out->elf && elf_kind(out->elf) == ELF_K_ELF;
}

bool fg__elf_open_fd(fg__elf *out, int fd, uint64_t size) {
    *out = (fg__elf){.size = (size_t)size, .mapped = true};
    if (size < EI_NIDENT) return false;
    /* private and writable: libelf may convert in place what it finds in another byte order */
    out->bytes = mmap(NULL, out->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (out->bytes == MAP_FAILED) {
        *out = (fg__elf){0};
        return false;
    }
    if (begin(out)) return true;
    fg__elf_close(NULL, out);
    return false;
}

bool fg__elf_open_memory(fg__elf *out, fg_ctx *ctx, const void *bytes, size_t n) {
    *out = (fg__elf){.size = n};
    out->bytes = n >= EI_NIDENT ? fg__alloc(ctx, n) : NULL;
    if (!out->bytes) return false;
    memcpy(out->bytes, bytes, n);
    if (begin(out)) return true;
    fg__elf_close(ctx, out);
    return false;
}

void fg__elf_close(fg_ctx *ctx, fg__elf *elf) {
    if (elf->elf) elf_end(elf->elf);
    if (elf->bytes && elf->mapped) munmap(elf->bytes, elf->size);
    if (elf->bytes && !elf->mapped) fg_free(ctx, elf->bytes);
    *elf = (fg__elf){0};
}

/* ---- sections ------------------------------------------------------------------------------------------ */

static Elf_Scn *section_named(Elf *elf, const char *name, GElf_Shdr *header) {
    size_t strings;
    if (elf_getshdrstrndx(elf, &strings)) return NULL;
    for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
        if (!gelf_getshdr(scn, header)) continue;
        const char *is = elf_strptr(elf, strings, header->sh_name);
        if (is && strcmp(is, name) == 0) return scn;
    }
    return NULL;
}

bool fg__elf_section(fg__section *out, Elf *elf, const char *name) {
    GElf_Shdr header;
    Elf_Scn *scn = section_named(elf, name, &header);
    if (!scn || header.sh_type == SHT_NOBITS) return false;
    if (header.sh_flags & SHF_COMPRESSED && elf_compress(scn, 0, 0) < 0) return false;
    Elf_Data *data = elf_rawdata(scn, NULL);
    if (!data || !data->d_buf) return false;
    *out = (fg__section){data->d_buf, data->d_size, header.sh_addr, header.sh_offset};
    return true;
}

/* The build id in a list of notes; its size, or 0. */
static size_t find_build_id(uint8_t *out, Elf_Data *data) {
    GElf_Nhdr note;
    size_t name, content;
    for (size_t at = 0; data && (at = gelf_getnote(data, at, &note, &name, &content)) > 0;) {
        bool is = note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof ELF_NOTE_GNU &&
                  memcmp((char *)data->d_buf + name, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0;
        if (!is || !note.n_descsz || note.n_descsz > FG__BUILD_ID_MAX) continue;
        memcpy(out, (char *)data->d_buf + content, note.n_descsz);
        return note.n_descsz;
    }
    return 0;
}

size_t fg__elf_build_id(uint8_t *out, Elf *elf) {
    size_t count, n = 0;
    GElf_Phdr header;
    if (elf_getphdrnum(elf, &count)) count = 0;
    for (size_t i = 0; i < count && !n; i++) {
        if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_NOTE) continue;
        Elf_Type type = header.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR;
        n = find_build_id(out, elf_getdata_rawchunk(elf, (int64_t)header.p_offset, header.p_filesz, type));
    }
    return n;
}

/* ---- symbols ------------------------------------------------------------------------------------------- */

/*
 * Which of the names for one address is taken, most important first: one with a size, a strong one, a global one, the
 * one with fewer underscores in front, the longer one; those are perf's rules. Then the version that a library's new
 * users get, "f@@V2", not the older "f@V1".
 */
static uint32_t rank_of(const GElf_Sym *sym, const char *name, size_t n) {
    size_t underscores = strspn(name, "_");
    uint32_t rank = sym->st_size != 0;
    rank = rank << 1 | (GELF_ST_BIND(sym->st_info) != STB_WEAK);
    rank = rank << 1 | (GELF_ST_BIND(sym->st_info) == STB_GLOBAL);
    rank = rank << 4 | (uint32_t)(underscores < 15 ? 15 - underscores : 0);
    rank = rank << 16 | (uint32_t)(n < UINT16_MAX ? n : UINT16_MAX);
    const char *version = memchr(name, '@', n);
    return rank << 1 | (!version || version[1] == '@');
}

/* Functions, and labels without a type, as in assembly, where they are code. */
static bool is_code(Elf *elf, const GElf_Sym *sym, const char *name) {
    int type = GELF_ST_TYPE(sym->st_info);
    if (sym->st_shndx == SHN_UNDEF || !sym->st_value || !*name) return false;
    if (type == STT_FUNC || type == STT_GNU_IFUNC) return true;
    if (type != STT_NOTYPE || sym->st_shndx >= SHN_LORESERVE || name[0] == '$' || name[0] == '.')
        return false;
    GElf_Shdr header;
    Elf_Scn *scn = elf_getscn(elf, sym->st_shndx);
    return scn && gelf_getshdr(scn, &header) && header.sh_flags & SHF_EXECINSTR;
}

/*
 * The length of a name without its version, which is the linker's business: "memcpy@@GLIBC_2.14", "memcpy@GLIBC_2.2.5".
 * Other marks are parts of names: "f@plt", "_f@12", "?f@@YAXXZ".
 */
static size_t without_version(const char *name, size_t n) {
    const char *at = memchr(name, '@', n), *end = name + n;
    if (!at || at == name || *name == '?') return n;
    const char *version = at + 1 + (at[1] == '@');
    if (fg__is_digit(*version) || version == end || strcmp(version, "plt") == 0) return n;
    for (const char *p = version; p < end; p++)
        if (*p == '@') return n;
    return (size_t)(at - name);
}

static int add_symbol(fg__symbol_table *table, fg__module *m, const GElf_Sym *sym, const char *name,
                      size_t n) {
    uint64_t end;
    if (__builtin_add_overflow(sym->st_value, sym->st_size, &end)) return 0;
    size_t own = without_version(name, n);
    fg__symbol symbol = {.start = sym->st_value,
                         .end = end,
                         .name = name,
                         .n = (uint32_t)own,
                         .frame = FG__NONE,
                         .rank = rank_of(sym, name, n)};
    if (own < n) symbol.name = fg__arena_copy(m->symbols->ctx, &m->names, name, own);
    return symbol.name ? fg__symbol_table_add(m->symbols->ctx, table, &symbol) : FG_ENOMEM;
}

static int add_symbols(fg__symbol_table *table, fg__module *m, Elf *elf, Elf_Scn *scn,
                       const GElf_Shdr *header) {
    Elf_Data *data = elf_getdata(scn, NULL);
    Elf_Scn *strings_scn = elf_getscn(elf, header->sh_link);
    Elf_Data *strings = strings_scn ? elf_getdata(strings_scn, NULL) : NULL;
    if (!data || !strings || !header->sh_entsize) return 0;
    size_t count = data->d_size / header->sh_entsize;
    int err = 0;
    for (size_t i = 1; i < count && i <= INT32_MAX && !err; i++) {
        GElf_Sym sym;
        if (!gelf_getsym(data, (int)i, &sym) || sym.st_name >= strings->d_size) continue;
        const char *name = (const char *)strings->d_buf + sym.st_name;
        size_t n = strnlen(name, strings->d_size - sym.st_name);
        if (n == strings->d_size - sym.st_name || n > UINT32_MAX || !is_code(elf, &sym, name)) continue;
        err = add_symbol(table, m, &sym, name, n);
    }
    return err;
}

bool fg__elf_symbol_named(uint64_t *address, uint64_t *size, Elf *elf, const char *name) {
    for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
        GElf_Shdr header;
        bool is =
            gelf_getshdr(scn, &header) && (header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM);
        Elf_Data *data = is && header.sh_entsize ? elf_getdata(scn, NULL) : NULL;
        size_t count = data ? data->d_size / header.sh_entsize : 0;
        for (size_t i = 1; i < count && i <= INT32_MAX; i++) {
            GElf_Sym sym;
            if (!gelf_getsym(data, (int)i, &sym) || sym.st_shndx == SHN_UNDEF) continue;
            const char *found = elf_strptr(elf, header.sh_link, sym.st_name);
            if (!found || strcmp(found, name) != 0) continue;
            *address = sym.st_value;
            *size = sym.st_size;
            return true;
        }
    }
    return false;
}

/* ---- the stubs of .plt --------------------------------------------------------------------------------- */

/* Call stub `i` "puts@plt". */
static int add_stub(fg__symbol_table *table, fg__module *m, const char *name, uint64_t address,
                    uint64_t size) {
    static const char suffix[] = "@plt";
    size_t n = strlen(name);
    char *text = n < UINT32_MAX - sizeof suffix
                     ? fg__arena_alloc(m->symbols->ctx, &m->names, n + sizeof suffix)
                     : NULL;
    if (!text) return FG_ENOMEM;
    memcpy(text, name, n);
    memcpy(text + n, suffix, sizeof suffix);
    return fg__symbol_table_add(m->symbols->ctx, table,
                                &(fg__symbol){.start = address,
                                              .end = address + size,
                                              .name = text,
                                              .n = (uint32_t)(n + sizeof suffix - 1),
                                              .frame = FG__NONE});
}

/* Which stub belongs to which relocation: in order, behind the first stub, save in .plt.sec, which has no first one. */
static int add_stubs(fg__symbol_table *table, fg__module *m, Elf *elf) {
    enum { STUB = 16 };
    GElf_Shdr rela, plt, dynsym;
    Elf_Scn *rela_scn = section_named(elf, ".rela.plt", &rela),
            *dynsym_scn = section_named(elf, ".dynsym", &dynsym);
    bool second = section_named(elf, ".plt.sec", &plt) != NULL;
    if (!rela_scn || !dynsym_scn || (!second && !section_named(elf, ".plt", &plt)) ||
        rela.sh_type != SHT_RELA)
        return 0;
    Elf_Data *relocations = elf_getdata(rela_scn, NULL), *symbols = elf_getdata(dynsym_scn, NULL);
    if (!relocations || !symbols || !rela.sh_entsize) return 0;
    size_t count = relocations->d_size / rela.sh_entsize, stubs = plt.sh_size / STUB - (second ? 0 : 1);
    int err = 0;
    for (size_t i = 0; i < count && i < stubs && i < INT32_MAX && !err; i++) {
        GElf_Rela relocation;
        GElf_Sym sym;
        if (!gelf_getrela(relocations, (int)i, &relocation)) break;
        if (!gelf_getsym(symbols, (int)GELF_R_SYM(relocation.r_info), &sym)) break;
        const char *name = elf_strptr(elf, dynsym.sh_link, sym.st_name);
        if (name && *name) err = add_stub(table, m, name, plt.sh_addr + (i + !second) * STUB, STUB);
    }
    return err;
}

int fg__elf_symbols(fg__symbol_table *table, size_t *added, fg__module *m, Elf *elf, bool dynamic) {
    size_t before = table->count;
    int err = 0;
    for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn)) && !err;) {
        GElf_Shdr header;
        if (!gelf_getshdr(scn, &header) || header.sh_type != (dynamic ? SHT_DYNSYM : SHT_SYMTAB)) continue;
        err = add_symbols(table, m, elf, scn, &header);
    }
    if (!err && dynamic) err = add_stubs(table, m, elf);
    *added = table->count - before;
    return err;
}
