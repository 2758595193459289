/* Encodes a raw RGB picture with libjpeg, in memory, again and again, and prints
 * the nanoseconds of every encode. Arguments: width height quality times. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <jpeglib.h>

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv) {
	if (argc != 5) return 2;
	int w = atoi(argv[1]), h = atoi(argv[2]), quality = atoi(argv[3]), times = atoi(argv[4]);
	size_t n = (size_t)w * h * 3;
	unsigned char *pixels = malloc(n), *out = NULL;
	if (!pixels || fread(pixels, 1, n, stdin) != n) return 1;
	struct jpeg_compress_struct c;
	struct jpeg_error_mgr err;
	c.err = jpeg_std_error(&err);
	jpeg_create_compress(&c);
	unsigned long size = n, room = n;
	out = malloc(n);
	for (int i = 0; i < times; i++) {
		double began = now();
		size = room;
		jpeg_mem_dest(&c, &out, &size);
		c.image_width = w;
		c.image_height = h;
		c.input_components = 3;
		c.in_color_space = JCS_RGB;
		jpeg_set_defaults(&c);
		jpeg_set_quality(&c, quality, TRUE);
		jpeg_start_compress(&c, TRUE);
		while (c.next_scanline < c.image_height) {
			JSAMPROW row = pixels + (size_t)c.next_scanline * w * 3;
			jpeg_write_scanlines(&c, &row, 1);
		}
		jpeg_finish_compress(&c);
		printf("%.0f\n", now() - began);
	}
	jpeg_destroy_compress(&c);
	return 0;
}
