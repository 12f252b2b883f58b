/* Reading a crystal from memory, one function a format. */
#ifndef KTI_CRYSTAL_READER_H
#define KTI_CRYSTAL_READER_H

#include <stddef.h>

#include <kappatune/structure.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kti_structure_format {
    KTI_FORMAT_CIF,
    KTI_FORMAT_POSCAR,
    KTI_FORMAT_EXTXYZ,
    KTI_FORMAT_UNKNOWN
} kti_structure_format;

/* The format that a file's name tells. */
kti_structure_format kti_structure_format_of(const char *path);

/* Reads one crystal from data[size], which needs no terminating zero; `name` stands for the file in errors
 * (may be NULL). Result and errors as kt_structure_read. Safe on any bytes: time and memory are bounded. */
kt_status kti_structure_read_text(kti_structure_format format, const char *data, size_t size,
                                  const char *name, kt_structure *structure, kt_error *error);

/* The formats. */
kt_status kti_cif_read(const char *data, size_t size, const char *name, kt_structure *structure,
                       kt_error *error);
kt_status kti_poscar_read(const char *data, size_t size, const char *name, kt_structure *structure,
                          kt_error *error);
kt_status kti_extxyz_read(const char *data, size_t size, const char *name, kt_structure *structure,
                          kt_error *error);

#ifdef __cplusplus
}
#endif
#endif
