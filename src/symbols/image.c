/*
 * DWARF that is compressed, as distributions ship it: the sections that are read here, decompressed into an ELF file in
 * memory. libdw would decompress all of them, and more slowly: those of variables are a third, and nobody asks for them.
 */
#include <gelf.h>
#include <libdeflate.h>
#include <sys/mman.h>
#include <zstd.h>
#include "symbols/module.h"

enum { RATIO = 1100 }; /* no section is packed better than deflate can */
static const uint64_t MOST = UINT64_C(4) << 30;

static const char *const wanted[] = {".debug_info",        ".debug_abbrev",    ".debug_str",
                                     ".debug_line",        ".debug_line_str",  ".debug_ranges",
                                     ".debug_rnglists",    ".debug_addr",      ".debug_types",
                                     ".debug_str_offsets", ".gnu_debugaltlink"};
enum { WANTED = sizeof wanted / sizeof *wanted, SECTIONS = WANTED + 2 /* one that is none, and the names */ };
#ifndef ELFCOMPRESS_ZSTD
enum { ELFCOMPRESS_ZSTD = 2 };
#endif

/* A section as it is in the file, and where it will be in the image. */
typedef struct part {
    const uint8_t *bytes;
    size_t n;
    uint32_t type;     /* of compression; 0: none */
    uint64_t at, size; /* in the image */
    uint32_t name;
} part;

static bool is_ours(Elf *elf, Elf64_Ehdr *header) {
    const Elf64_Ehdr *own = elf64_getehdr(elf);
    if (!own || own->e_type == ET_REL || own->e_ident[EI_DATA] != ELFDATA2LSB) return false;
    *header = *own;
    return true;
}

/* Take a section up. False: it is no good. */
static bool take(part *out, Elf_Scn *scn, const GElf_Shdr *header) {
    Elf64_Chdr packed;
    Elf_Data *data = elf_rawdata(scn, NULL);
    if (!data || (data->d_size && !data->d_buf)) return false;
    *out = (part){.bytes = data->d_buf, .n = data->d_size, .size = data->d_size};
    if (!(header->sh_flags & SHF_COMPRESSED)) return true;
    if (out->n < sizeof packed) return false;
    memcpy(&packed, out->bytes, sizeof packed);
    out->bytes += sizeof packed;
    out->n -= sizeof packed;
    out->type = packed.ch_type;
    out->size = packed.ch_size;
    return out->size / RATIO <= out->n && out->size <= MOST;
}

/* Find the sections that are wanted. False: none of them is compressed, or one is no good. */
static bool find(part *parts, Elf *elf) {
    size_t strings;
    bool any = false;
    if (elf_getshdrstrndx(elf, &strings)) return false;
    for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
        GElf_Shdr header;
        const char *name = gelf_getshdr(scn, &header) ? elf_strptr(elf, strings, header.sh_name) : NULL;
        if (!name || header.sh_type == SHT_NOBITS) continue;
        for (size_t i = 0; i < WANTED; i++) {
            if (strcmp(name, wanted[i]) != 0) continue;
            if (!take(&parts[i], scn, &header)) return false;
            any |= parts[i].type != 0;
        }
    }
    return any;
}

static bool unpack(uint8_t *to, const part *p) {
    bool done = false;
    if (!p->type) {
        if (p->n) memcpy(to, p->bytes, p->n);
        return true;
    }
    if (p->type == ELFCOMPRESS_ZLIB) {
        struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
        done = d && libdeflate_zlib_decompress(d, p->bytes, p->n, to, p->size, NULL) == LIBDEFLATE_SUCCESS;
        libdeflate_free_decompressor(d);
    } else if (p->type == ELFCOMPRESS_ZSTD) {
        done = ZSTD_decompress(to, p->size, p->bytes, p->n) == p->size;
    }
    return done;
}

/* Say where everything will be: the sections, their names, the table of sections. The size of it all; 0: too much. */
static uint64_t lay_out(part *parts, uint64_t *names, uint64_t *table) {
    uint64_t at = sizeof(Elf64_Ehdr);
    uint32_t name = 1;
    for (size_t i = 0; i < WANTED; i++) {
        parts[i].at = at;
        parts[i].name = name;
        at = (at + parts[i].size + 15) & ~UINT64_C(15);
        name += (uint32_t)strlen(wanted[i]) + 1;
        if (at > MOST) return 0;
    }
    *names = at;
    *table = (at + name + 15) & ~UINT64_C(15);
    return *table + SECTIONS * sizeof(Elf64_Shdr);
}

/* All but the sections' own bytes. */
static void write_rest(uint8_t *image, Elf64_Ehdr header, const part *parts, uint64_t names, uint64_t table) {
    Elf64_Shdr sections[SECTIONS] = {{0}};
    header.e_phoff = header.e_phnum = 0;
    header.e_shoff = table;
    header.e_shnum = SECTIONS;
    header.e_shstrndx = SECTIONS - 1;
    header.e_shentsize = sizeof *sections;
    for (size_t i = 0; i < WANTED; i++) {
        bool there = parts[i].bytes != NULL;
        sections[i + 1] = (Elf64_Shdr){.sh_name = there ? parts[i].name : 0,
                                       .sh_type = there ? SHT_PROGBITS : SHT_NULL,
                                       .sh_offset = parts[i].at,
                                       .sh_size = there ? parts[i].size : 0,
                                       .sh_addralign = 1};
        memcpy(image + names + parts[i].name, wanted[i], strlen(wanted[i]));
    }
    sections[SECTIONS - 1] =
        (Elf64_Shdr){.sh_type = SHT_STRTAB, .sh_offset = names, .sh_size = table - names, .sh_addralign = 1};
    memcpy(image, &header, sizeof header);
    memcpy(image + table, sections, sizeof sections);
}

bool fg__dwarf_image(fg__elf *out, Elf *elf) {
    part parts[WANTED] = {{0}};
    Elf64_Ehdr header;
    uint64_t names, table, size = 0;
    *out = (fg__elf){0};
    if (is_ours(elf, &header) && find(parts, elf)) size = lay_out(parts, &names, &table);
    if (!size) return false;
    void *image =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (image == MAP_FAILED) return false;
    *out = (fg__elf){.bytes = image, .size = size, .mapped = true};
    bool good = true;
    for (size_t i = 0; i < WANTED && good; i++) good = unpack((uint8_t *)image + parts[i].at, &parts[i]);
    write_rest(image, header, parts, names, table);
    out->elf = good ? elf_memory(image, size) : NULL;
    if (out->elf) return true;
    fg__elf_close(NULL, out);
    return false;
}
