package canary

import "strings"

// locale is what a persona of one language is put together from. All of it is
// made up for this project; none of it is taken from real profiles, and a
// scraper who has read this file knows it: an operator brings his own.
type locale struct {
	tag         string // BCP 47
	weight      int    // share among personas
	first, last []string
	words       []string // what handles are made of besides names
	tags        []string
	speech      *speech
	zone        int // hours from UTC
}

func list(s string) []string { return strings.Fields(s) }

// locales of the bundled personas.
var locales = []locale{
	{
		"en", 30,
		list("Ava Ben Chloe Dylan Ella Finn Grace Harry Isla Jack Kayla Liam Mia Noah Olive Piper Quinn Ruby Sam Tessa Will Zoe Maya Leo Nora Owen Amber Cole Daisy Ethan"),
		list("Adler Barker Coleman Dalton Easton Fletcher Garrett Holloway Ingram Jensen Keating Lawson Marlow Norris Oakley Prescott Quigley Radford Sheldon Thatcher Upton Vance Whitaker Yardley Brooks Carver Hale Pruitt Stroud Wynn"),
		list("coffee runs paints wild sunny lane maple river daily just the real mostly north studio films bakes notes little miss hey outside"),
		list("weekend sunset homemade citywalk nofilter hiking slowliving throwback"),
		english, 0,
	},
	{
		"es", 15,
		list("Alba Bruno Carla Diego Elena Fabian Gloria Hugo Irene Javier Lucia Marcos Nerea Oscar Paula Raul Sara Tomas Vera Ximena Adrian Noelia Ivan Rocio"),
		list("Aranda Benitez Cabrera Duarte Escobar Fuentes Gallego Herrera Ibarra Lozano Medina Navarro Ortega Palacios Quintana Robles Salinas Tejada Urrutia Valverde Zamora Cuesta Rivas Soler"),
		list("cafe luna playa mundo vida loca norte fotos cocina la el siempre viajes noche verde casita"),
		list("atardecer finde viaje cocina recuerdos paseo"),
		spanish, 1,
	},
	{
		"tr", 12,
		list("Aylin Baris Ceren Deniz Elif Furkan Gizem Hakan Ilker Melis Nazli Onur Pelin Selin Tolga Umut Yasemin Zeynep Burak Derya"),
		list("Acar Bulut Cetin Demirci Erdem Gunes Karaca Kaplan Ozkan Polat Sahin Tekin Uslu Yalcin Yildirim Aksoy Sonmez Korkmaz"),
		list("gezgin mutfak deniz kedi yol foto gece mavi hayat anne keyif kahve"),
		list("manzara haftasonu kahve gezi deniz mutfak"),
		turkish, 3,
	},
	{
		"fr", 10,
		list("Agathe Bastien Camille Damien Elise Fabrice Gaelle Hugo Ines Jules Lea Mathis Noemie Oceane Pauline Quentin Remi Solene Theo Valentine"),
		list("Aubert Besson Carlier Delorme Fabre Gauthier Hamel Joly Lacroix Marchand Noel Perrot Renard Sorel Tessier Vidal Blanchet Colin"),
		list("petit soleil photo cuisine vague lune balade cafe le la chez miss encore bleu"),
		list("balade weekend lumiere cuisine souvenir nature"),
		french, 1,
	},
	{
		"pt", 12,
		list("Alice Breno Clara Davi Erica Fabio Giulia Heitor Iara Joana Kaio Livia Murilo Natalia Otavio Priscila Renan Sofia Tiago Vitoria"),
		list("Amaral Barreto Cardoso Drummond Esteves Farias Guimaraes Leal Macedo Nogueira Peixoto Queiroz Rezende Sampaio Teles Vasques Moura Brito"),
		list("praia vida sol cafe doce lua fotos casa bora mundo verde amor"),
		list("praia domingo viagem saudade luz comida"),
		portuguese, -3,
	},
	{
		"de", 9,
		list("Anja Bastian Clara Dennis Elena Fabian Greta Henning Ida Jonas Katrin Lukas Marie Nils Paula Rieke Simon Tabea Ute Vincent"),
		list("Albrecht Brandt Conrad Dietz Engel Franke Gruber Hartwig Jansen Kessler Lindner Moritz Neumann Otte Petersen Reuter Seidel Thiele Ulrich Wenzel"),
		list("kaffee berge wald fotos garten kleine nord hallo meer rad echt"),
		list("wochenende wandern garten natur unterwegs licht"),
		german, 1,
	},
	{
		"id", 7,
		list("Adit Bella Citra Dimas Eka Fajar Gita Hendra Indah Joko Kirana Laras Mega Nanda Putri Rangga Sari Tiara Wulan Yoga"),
		list("Anggara Baskoro Cahyono Darmawan Effendi Gunadi Handoko Kusuma Lestari Maulana Nugraha Pratama Rahayu Santosa Utami Wibowo"),
		list("kopi senja jalan dapur cerita pagi hujan foto laut si mbak"),
		list("senja liburan kopi jalanjalan masakan laut"),
		indonesian, 7,
	},
	{
		"hi-Latn", 5,
		list("Aarav Bhavna Chetan Divya Esha Farhan Gauri Harsh Ishita Jatin Kavya Lakshay Meera Nikhil Pooja Rohan Sneha Tanvi Varun Yamini"),
		list("Ahuja Bhatt Chawla Dixit Goyal Hegde Iyer Joshi Kapadia Lamba Mehra Nagpal Pandit Rastogi Sethi Thakur Vohra Wadhwa"),
		list("chai desi wali safar rang yaar ghar dil mausam khana ka"),
		list("chai safar yaadein khana shaam ghar"),
		hindi, 5,
	},
}
