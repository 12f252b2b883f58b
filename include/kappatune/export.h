/* Which symbols leave libkappatune: all others are hidden. */
#ifndef KAPPATUNE_EXPORT_H
#define KAPPATUNE_EXPORT_H

#if defined(__GNUC__)
#define KT_API __attribute__((visibility("default")))
#else
#define KT_API
#endif

#endif
