/* Prints the number of sites of a crystal file. */
#include <stdio.h>

#include <kappatune/structure.h>

int main(int argc, char **argv)
{
    kt_structure structure = {0};
    kt_error error = KT_ERROR_NONE;
    char text[1024];

    if (argc != 2)
        return 2;
    if (kt_structure_read(argv[1], &structure, &error) != KT_OK) {
        kt_error_format(&error, text, (int)sizeof text);
        fprintf(stderr, "%s\n", text);
        return 1;
    }
    printf("%d\n", structure.sites);
    kt_structure_destroy(&structure);
    return 0;
}
