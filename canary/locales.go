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
	bios        []string
	captions    []string
	tags        []string
	zone        int // hours from UTC
}

func list(s string) []string { return strings.Fields(s) }

func lines(s string) []string { return strings.Split(s, "|") }

// locales of the bundled personas.
var locales = []locale{
	{
		"en", 30,
		list("Ava Ben Chloe Dylan Ella Finn Grace Harry Isla Jack Kayla Liam Mia Noah Olive Piper Quinn Ruby Sam Tessa Will Zoe Maya Leo Nora Owen Amber Cole Daisy Ethan"),
		list("Adler Barker Coleman Dalton Easton Fletcher Garrett Holloway Ingram Jensen Keating Lawson Marlow Norris Oakley Prescott Quigley Radford Sheldon Thatcher Upton Vance Whitaker Yardley Brooks Carver Hale Pruitt Stroud Wynn"),
		list("coffee runs paints wild sunny lane maple river daily just the real mostly north studio films bakes notes little miss hey outside"),
		lines("coffee first|trails, dogs and bad puns|mostly weekends|film photos & long walks|learning to bake|somewhere between the sea and the city|plants, playlists, pancakes||nurse by day|opinions are my dog's"),
		lines("golden hour again|found this on the way home|sunday well spent|no filter needed|can't stop looking at this|small things|back here after two years|weekend plans|the quiet part of town|first try!|old favourite|morning like this"),
		list("weekend sunset homemade citywalk nofilter hiking slowliving throwback"), 0,
	},
	{
		"es", 15,
		list("Alba Bruno Carla Diego Elena Fabian Gloria Hugo Irene Javier Lucia Marcos Nerea Oscar Paula Raul Sara Tomas Vera Ximena Adrian Noelia Ivan Rocio"),
		list("Aranda Benitez Cabrera Duarte Escobar Fuentes Gallego Herrera Ibarra Lozano Medina Navarro Ortega Palacios Quintana Robles Salinas Tejada Urrutia Valverde Zamora Cuesta Rivas Soler"),
		list("cafe luna playa mundo vida loca norte fotos cocina la el siempre viajes noche verde casita"),
		lines("viajes y café|aprendiz de todo|la vida en fotos|siempre con hambre||de sur a norte|gatos > personas|cocino los domingos"),
		lines("qué tarde tan bonita|domingo en casa|de vuelta por aquí|sin palabras|esto sí es vida|pequeños planes|hoy tocaba parar|mi rincón favorito|otra vez lunes"),
		list("atardecer finde viaje cocina recuerdos paseo"), 1,
	},
	{
		"tr", 12,
		list("Aylin Baris Ceren Deniz Elif Furkan Gizem Hakan Ilker Melis Nazli Onur Pelin Selin Tolga Umut Yasemin Zeynep Burak Derya"),
		list("Acar Bulut Cetin Demirci Erdem Gunes Karaca Kaplan Ozkan Polat Sahin Tekin Uslu Yalcin Yildirim Aksoy Sonmez Korkmaz"),
		list("gezgin mutfak deniz kedi yol foto gece mavi hayat anne keyif kahve"),
		lines("kahve ve kitap|deniz kokusu|kedili hayat||yolda olmayı severim|mutfakta deneme yanılma|istanbul"),
		lines("bugün hava çok güzel|akşam yürüyüşü|en sevdiğim köşe|hafta sonu böyle geçti|kısa bir mola|anılar|yine geldik|manzara şahane"),
		list("manzara haftasonu kahve gezi deniz mutfak"), 3,
	},
	{
		"fr", 10,
		list("Agathe Bastien Camille Damien Elise Fabrice Gaelle Hugo Ines Jules Lea Mathis Noemie Oceane Pauline Quentin Remi Solene Theo Valentine"),
		list("Aubert Besson Carlier Delorme Fabre Gauthier Hamel Joly Lacroix Marchand Noel Perrot Renard Sorel Tessier Vidal Blanchet Colin"),
		list("petit soleil photo cuisine vague lune balade cafe le la chez miss encore bleu"),
		lines("café, vélo, dodo|un peu de tout||photos du dimanche|bretagne au coeur|je cuisine, donc je suis|toujours en balade"),
		lines("fin de journée|petit tour ce matin|quelle lumière|dimanche tranquille|retour aux sources|on y retourne quand ?|souvenir d'hier|la vue d'ici"),
		list("balade weekend lumiere cuisine souvenir nature"), 1,
	},
	{
		"pt", 12,
		list("Alice Breno Clara Davi Erica Fabio Giulia Heitor Iara Joana Kaio Livia Murilo Natalia Otavio Priscila Renan Sofia Tiago Vitoria"),
		list("Amaral Barreto Cardoso Drummond Esteves Farias Guimaraes Leal Macedo Nogueira Peixoto Queiroz Rezende Sampaio Teles Vasques Moura Brito"),
		list("praia vida sol cafe doce lua fotos casa bora mundo verde amor"),
		lines("praia e café|vivendo devagar||mãe de planta|fotos sem pressa|doce é vida|entre livros e viagens"),
		lines("que dia lindo|domingo assim|voltei|meu cantinho|bora de novo?|simples assim|luz da tarde|saudade desse lugar"),
		list("praia domingo viagem saudade luz comida"), -3,
	},
	{
		"de", 9,
		list("Anja Bastian Clara Dennis Elena Fabian Greta Henning Ida Jonas Katrin Lukas Marie Nils Paula Rieke Simon Tabea Ute Vincent"),
		list("Albrecht Brandt Conrad Dietz Engel Franke Gruber Hartwig Jansen Kessler Lindner Moritz Neumann Otte Petersen Reuter Seidel Thiele Ulrich Wenzel"),
		list("kaffee berge wald fotos garten kleine nord hallo meer rad echt"),
		lines("kaffee zuerst|berge statt meer||fotos vom wochenende|garten, hund, kuchen|unterwegs im norden|mal hier, mal da"),
		lines("was für ein licht|sonntagsrunde|endlich wieder hier|kleine pause|so schön heute|feierabend|fundstück|erinnerung von gestern"),
		list("wochenende wandern garten natur unterwegs licht"), 1,
	},
	{
		"id", 7,
		list("Adit Bella Citra Dimas Eka Fajar Gita Hendra Indah Joko Kirana Laras Mega Nanda Putri Rangga Sari Tiara Wulan Yoga"),
		list("Anggara Baskoro Cahyono Darmawan Effendi Gunadi Handoko Kusuma Lestari Maulana Nugraha Pratama Rahayu Santosa Utami Wibowo"),
		list("kopi senja jalan dapur cerita pagi hujan foto laut si mbak"),
		lines("kopi dan senja|jalan terus||cerita dapur|suka hujan|anak pantai|foto seadanya"),
		lines("senja hari ini|jalan sore|akhirnya libur|kangen tempat ini|pagi yang tenang|seadanya aja|kopi dulu|cuaca bagus"),
		list("senja liburan kopi jalanjalan masakan laut"), 7,
	},
	{
		"hi-Latn", 5,
		list("Aarav Bhavna Chetan Divya Esha Farhan Gauri Harsh Ishita Jatin Kavya Lakshay Meera Nikhil Pooja Rohan Sneha Tanvi Varun Yamini"),
		list("Ahuja Bhatt Chawla Dixit Goyal Hegde Iyer Joshi Kapadia Lamba Mehra Nagpal Pandit Rastogi Sethi Thakur Vohra Wadhwa"),
		list("chai desi wali safar rang yaar ghar dil mausam khana ka"),
		lines("chai pe charcha|safar mein||dil se foodie|photo lover|ghar ka khana best|bas aise hi"),
		lines("aaj ka mausam|sunday vibes ghar pe|yaadein|chai break|kya view hai|wapas aa gaye|bas yun hi|shaam ki sair"),
		list("chai safar yaadein khana shaam ghar"), 5,
	},
}
