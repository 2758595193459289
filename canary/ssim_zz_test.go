package canary_test
import ("testing";"fmt";"slices";"birdring/canary";"birdring/canary/mark";"birdring/internal/testkit")
func TestZZSSIM(t *testing.T) {
	var all, worst, ps []float64
	for _, path := range testkit.Photos(t) {
		img := loadPhoto(t, path)
		p, rep, r := prepare(t, img)
		plain,_ := canary.PreparePlain(img,nil)
		got := lumaOf(t, r.Append(nil, canary.FirstViewer+7)); want := lumaOf(t, plain)
		s := mark.SSIM(want,got)
		all = append(all,s); worst=append(worst,rep.SSIM); ps=append(ps,mark.PSNR(want,got))
		fmt.Printf("%s run %d worst %.2f %.4f real %.2f %.4f gain %.2f growth %+.3f%% bare %d self %.0f\n", testName(path), p.Run, rep.PSNR, rep.SSIM, mark.PSNR(want,got), s, rep.Gain, 100*(float64(rep.Bytes)/float64(rep.PlainBytes)-1), rep.Bare, rep.SelfBits)
	}
	slices.Sort(all); slices.Sort(worst); slices.Sort(ps)
	n := len(all)
	fmt.Println("median real", (all[n/2]+all[(n-1)/2])/2, "min", all[0], "worst-case median", (worst[n/2]+worst[(n-1)/2])/2, worst[0], "psnr", ps[n/2], ps[0])
}
