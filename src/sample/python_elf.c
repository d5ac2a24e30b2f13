/*
 * What is needed of the ELF file of an interpreter: three addresses and the segments. The file is another program's and
 * may be anything: each table is read with a cap and each offset is checked against what was read.
 */
#include <elf.h>
#include <stdlib.h>
#include <unistd.h>
#include "sample/python.h"

enum { MOST_SECTIONS = 4096, MOST_TABLE = 64 << 20 };

typedef struct file {
    int fd;
    Elf64_Ehdr head;
    Elf64_Shdr *sections;
    size_t count;
} file;

static bool read_at(int fd, uint64_t offset, void *out, size_t size) {
    return offset <= INT64_MAX && pread(fd, out, size, (off_t)offset) == (ssize_t)size;
}

/* `size` bytes of the file with a NUL behind; NULL: too much, or not there. The caller frees them. */
static char *read_table(int fd, uint64_t offset, uint64_t size) {
    char *table = size <= MOST_TABLE ? malloc(size + 1) : NULL;
    if (!table) return NULL;
    table[size] = '\0';
    if (read_at(fd, offset, table, size)) return table;
    free(table);
    return NULL;
}

static void read_segments(py_elf *out, const file *f) {
    for (unsigned i = 0; i < f->head.e_phnum && out->segment_count < 16; i++) {
        Elf64_Phdr p;
        if (!read_at(f->fd, f->head.e_phoff + i * sizeof p, &p, sizeof p)) return;
        if (p.p_type != PT_LOAD) continue;
        out->segments[out->segment_count++] = (py_segment){.address = p.p_vaddr,
                                                           .size = p.p_memsz,
                                                           .offset = p.p_offset,
                                                           .file_size = p.p_filesz,
                                                           .writable = (p.p_flags & PF_W) != 0};
    }
}

static void read_sections(file *f) {
    if (f->head.e_shentsize != sizeof(Elf64_Shdr) || f->head.e_shnum > MOST_SECTIONS) return;
    f->sections =
        (Elf64_Shdr *)(void *)read_table(f->fd, f->head.e_shoff, f->head.e_shnum * sizeof(Elf64_Shdr));
    f->count = f->sections ? f->head.e_shnum : 0;
}

static void find_section(py_elf *out, const file *f) {
    if (f->head.e_shstrndx >= f->count) return;
    const Elf64_Shdr *names = &f->sections[f->head.e_shstrndx];
    char *text = read_table(f->fd, names->sh_offset, names->sh_size);
    for (size_t i = 0; text && i < f->count; i++)
        if (f->sections[i].sh_name < names->sh_size &&
            strcmp(text + f->sections[i].sh_name, ".PyRuntime") == 0)
            out->section = f->sections[i].sh_addr;
    free(text);
}

static void find_symbols(py_elf *out, const file *f, const Elf64_Shdr *table) {
    if (table->sh_link >= f->count) return;
    const Elf64_Shdr *names = &f->sections[table->sh_link];
    Elf64_Sym *symbols = (Elf64_Sym *)(void *)read_table(f->fd, table->sh_offset, table->sh_size);
    char *text = symbols ? read_table(f->fd, names->sh_offset, names->sh_size) : NULL;
    for (size_t i = 0; text && i < table->sh_size / sizeof *symbols; i++) {
        const Elf64_Sym *s = &symbols[i];
        if (s->st_shndx == SHN_UNDEF || s->st_name >= names->sh_size) continue;
        if (strcmp(text + s->st_name, "_PyRuntime") == 0) out->runtime = s->st_value;
        if (strcmp(text + s->st_name, "Py_Version") == 0) out->version = s->st_value;
    }
    free(text);
    free(symbols);
}

bool py_elf_read(py_elf *out, int fd) {
    file f = {.fd = fd};
    *out = (py_elf){0};
    if (!read_at(fd, 0, &f.head, sizeof f.head) || memcmp(f.head.e_ident, ELFMAG, SELFMAG) != 0 ||
        f.head.e_ident[EI_CLASS] != ELFCLASS64 || f.head.e_ident[EI_DATA] != ELFDATA2LSB ||
        f.head.e_phentsize != sizeof(Elf64_Phdr))
        return false;
    read_segments(out, &f);
    read_sections(&f);
    find_section(out, &f);
    for (size_t i = 0; i < f.count && !out->runtime; i++)
        if (f.sections[i].sh_type == SHT_DYNSYM || f.sections[i].sh_type == SHT_SYMTAB)
            find_symbols(out, &f, &f.sections[i]);
    free(f.sections);
    return true;
}
